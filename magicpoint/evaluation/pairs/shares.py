"""An evaluation on image pairs in shares: each has some of the scenes, and together they are that of one process."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core.errors import InputError
from ...core.files import AnyPath
from ...core.going_on import check_goes_on
from ...core.plain import as_plain
from ...core.shards import Shard
from .json_file import pairs_as_plain, read_pairs_evaluation
from .results import PairsEvaluation
from .run import digest_of
from .score import result_of


@dataclass(frozen=True)
class PairsShare:
    """A share of an evaluation.

    Args:
        scenes: Names of all scenes of the dataset, in their order.
        evaluation: Of those that belong to the share: the hash of its name decides it.
    """

    scenes: tuple[str, ...]
    evaluation: PairsEvaluation


def share_as_plain(share: PairsShare) -> dict[str, Any]:
    """The layout of the JSON file."""
    return {"scenes": list(share.scenes), **pairs_as_plain(share.evaluation)}


def read_share(path: AnyPath, shard: Shard) -> PairsShare:
    """Read what `share_as_plain` laid out.

    Raises:
        OSError: The file cannot be read.
        InputError: It is damaged, no such file, or that of another share; it is named.
    """
    evaluation = read_pairs_evaluation(path)
    scenes = json.loads(Path(path).read_text(encoding="utf-8")).get("scenes")
    if not isinstance(scenes, list) or [name for name in scenes if shard.has(name)] != list(evaluation.sequences):
        raise InputError(f"{path} is damaged or not the share {shard} of an evaluation on image pairs")
    return PairsShare(tuple(scenes), evaluation)


def join_shares(shares: Sequence[tuple[AnyPath, PairsShare]]) -> PairsEvaluation:
    """The evaluation of which these are all shares, with the files that they come from.

    Raises:
        InputError: Two were made with other weights, settings or versions, or of other scenes; both files are named.
    """
    (first_path, first), *others = shares
    for path, other in others:
        check_goes_on(
            f"{first_path} and {path} were made",
            _settings(first),
            _settings(other),
            "make one of them anew",
            "scenes, weights, settings or versions",
            in_words=("in the first", "in the second"),
        )
    scenes = {name: scene for _, share in shares for name, scene in share.evaluation.sequences.items()}
    sequences = {name: scenes[name] for name in first.scenes}
    places = {name: place for place, name in enumerate(sequences)}

    def joined(protocol: str, radius: int, method: str) -> Any:
        results = [share.evaluation.results[protocol][radius][method] for _, share in shares]
        pairs = [pair for result in results for pair in result.pairs]
        return result_of(sorted(pairs, key=lambda pair: places[pair.sequence]))

    whole = first.evaluation
    return PairsEvaluation(
        sequences=sequences,
        digest=digest_of(sequences),
        protocols=whole.protocols,
        settings=whole.settings,
        methods=whole.methods,
        versions=whole.versions,
        results={
            protocol: {
                radius: {method: joined(protocol, radius, method) for method in methods}
                for radius, methods in radii.items()
            }
            for protocol, radii in whole.results.items()
        },
    )


def _settings(share: PairsShare) -> dict[str, Any]:
    """What two shares must have in common."""
    digest = hashlib.sha256("\n".join(share.scenes).encode("utf-8", "surrogateescape")).hexdigest()
    values = {
        name: as_plain(getattr(share.evaluation, name)) for name in ("protocols", "settings", "methods", "versions")
    }
    return {"scenes": f"{len(share.scenes)} with names of SHA-256 {digest[:8]}", **values}
