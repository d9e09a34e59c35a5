"""An evaluation on image pairs as JSON, and back."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...core.errors import InputError
from ...core.files import AnyPath, check_regular
from ...core.plain import as_plain
from .results import (
    Bootstrap,
    EvaluatedSequence,
    Mean,
    PairResult,
    PairsEvaluation,
    PairsMethodResult,
    PairsProtocol,
    PairsSettings,
)

PAIRS_JSON = "homography.json"

_PAIR = ("sequence", "change", "view")
_RADIUS = "nms "


def pairs_as_plain(evaluation: PairsEvaluation) -> dict[str, Any]:
    """The layout of the JSON file."""
    plain = as_plain(evaluation)
    protocols = {
        name: {"size" if field == "image_size" else field: value for field, value in protocol.items()}
        for name, protocol in plain["protocols"].items()
    }
    results = {
        protocol: {
            f"{_RADIUS}{radius}": {name: _method_as_plain(method) for name, method in methods.items()}
            for radius, methods in radii.items()
        }
        for protocol, radii in evaluation.results.items()
    }
    return {"dataset": "homography", **plain, "protocols": protocols, "results": results}


def _method_as_plain(method: PairsMethodResult) -> dict[str, Any]:
    pairs = [{**{name: getattr(pair, name) for name in _PAIR}, **as_plain(pair.measures)} for pair in method.pairs]
    return {**as_plain(method.splits), "pairs": pairs}


def read_pairs_evaluation(path: AnyPath) -> PairsEvaluation:
    """Read what `pairs_as_plain` laid out, as the value that it was.

    Raises:
        OSError: The file cannot be read.
        InputError: It is damaged or no such file; it is named.
    """
    check_regular(path)
    try:
        plain = json.loads(Path(path).read_text(encoding="utf-8"))
        return PairsEvaluation(
            sequences={
                name: EvaluatedSequence(sequence["change"], tuple(sequence["views"]), sequence.get("digest", ""))
                for name, sequence in plain["sequences"].items()
            },
            digest=plain["digest"],
            protocols={name: _protocol(protocol) for name, protocol in plain["protocols"].items()},
            settings=_settings(plain["settings"]),
            methods=plain["methods"],
            versions=plain["versions"],
            results={
                protocol: {
                    int(radius.removeprefix(_RADIUS)): {name: _method(method) for name, method in methods.items()}
                    for radius, methods in radii.items()
                }
                for protocol, radii in plain["results"].items()
            },
        )
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(f"{path} is damaged or no evaluation on image pairs: {error!r}") from error


def _protocol(plain: Mapping[str, Any]) -> PairsProtocol:
    image_size = None if plain["size"] is None else (plain["size"][0], plain["size"][1])
    return PairsProtocol(image_size, plain["max_keypoints"], tuple(plain["nms_radii"]), plain["matching"])


def _settings(plain: Mapping[str, Any]) -> PairsSettings:
    lists = {name: tuple(plain[name]) for name in ("matching_thresholds", "homography_thresholds")}
    return PairsSettings(**{**plain, **lists, "bootstrap": Bootstrap(**plain["bootstrap"])})


def _method(plain: Mapping[str, Any]) -> PairsMethodResult:
    splits = {
        split: {name: _mean(mean) for name, mean in measures.items()}
        for split, measures in plain.items()
        if split != "pairs"
    }
    return PairsMethodResult(splits, tuple(_pair(pair) for pair in plain["pairs"]))  # type: ignore[arg-type]


def _mean(plain: Mapping[str, Any]) -> Mean:
    interval, over_sequences = (
        (_number(plain[name][0]), _number(plain[name][1])) for name in ("interval", "interval_sequences")
    )
    return Mean(_number(plain["mean"]), interval, over_sequences, plain["count"], plain["undefined"])


def _pair(plain: Mapping[str, Any]) -> PairResult:
    measures = {
        name: _number(value, math.inf if name == "corner_error" else math.nan)
        for name, value in plain.items()
        if name not in _PAIR
    }
    return PairResult(plain["sequence"], plain["change"], plain["view"], measures)


def _number(value: float | None, missing: float = math.nan) -> float:
    return missing if value is None else value
