"""What a training run came to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import InputError
from ..core.files import AnyPath
from ..model.weights import BEST_WEIGHTS
from ..training.log import METRICS_FILE


@dataclass(frozen=True)
class Validation:
    """How a run judged itself once.

    Args:
        step: After so many steps.
        images: After so many images.
        measures: By name, those of `training.validation` for the run's task; nan where one is not defined.
    """

    step: int
    images: int
    measures: Mapping[str, float]


@dataclass(frozen=True)
class TrainResult:
    """What a training run came to.

    Args:
        weights: Its best weights.
        validations: In their order.
    """

    weights: Path
    validations: tuple[Validation, ...]


def read_training(run: AnyPath) -> TrainResult:
    """Read what a run came to from its folder, also that of a process before this one.

    Raises:
        OSError: The run has no metrics, or they cannot be read.
        InputError: They are damaged; the file is named.
    """
    run = Path(run)
    path = run / METRICS_FILE
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        validations = tuple(_validation(line) for line in lines if line["kind"] == "validation")
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise InputError(f"{path} is damaged: {error!r}") from error
    return TrainResult(run / BEST_WEIGHTS, validations)


def _validation(line: Mapping[str, float]) -> Validation:
    measures = {name: value for name, value in line.items() if name not in ("kind", "step", "images")}
    return Validation(int(line["step"]), int(line["images"]), measures)
