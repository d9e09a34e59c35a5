"""What a training run came to."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.errors import InputError
from ..core.files import AnyPath, check_regular
from ..model.weights import BEST_WEIGHTS
from ..training.log import METRICS_FILE


@dataclass(frozen=True)
class RunMeasures:
    """What a run measured once.

    Args:
        step: After so many steps.
        images: After so many images.
        measures: By name: of training the losses, the norm of the gradient and the images per second, of a validation
            the measures of the task's validation; nan where one is not defined.
    """

    step: int
    images: int
    measures: Mapping[str, float]


@dataclass(frozen=True)
class TrainResult:
    """What a training run came to.

    Args:
        weights: Its best weights.
        training: What it measured while it trained, in its order.
        validations: How it judged itself, in its order.
    """

    weights: Path
    training: tuple[RunMeasures, ...]
    validations: tuple[RunMeasures, ...]


def read_training(run: AnyPath) -> TrainResult:
    """Read what a run came to from its folder, also that of a process before this one.

    Raises:
        OSError: The run has no metrics, or they cannot be read.
        InputError: They are damaged; the file is named.
    """
    path = Path(run) / METRICS_FILE
    found: dict[str, list[RunMeasures]] = {"train": [], "validation": []}
    check_regular(path)
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            kind, measured = _read_line(json.loads(line))
            found[kind].append(measured)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise InputError(f"{path} is damaged: {error!r:.200}") from error
    return TrainResult(Path(run) / BEST_WEIGHTS, tuple(found["train"]), tuple(found["validation"]))


def _read_line(line: dict[str, Any]) -> tuple[str, RunMeasures]:
    kind, step, images = (line.pop(name) for name in ("kind", "step", "images"))
    measures = {name: math.nan if value is None else value for name, value in line.items()}
    return str(kind), RunMeasures(int(step), int(images), measures)
