"""What a fine-tuning came to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...adaptation.summary import LabelReport
from ...evaluation.pairs.results import PairsEvaluation
from ..train import TrainResult


@dataclass(frozen=True)
class RoundResult:
    """One labelling and the training on it.

    Args:
        number: From 1.
        labels: What the labels look like.
        training: What came of the training.
    """

    number: int
    labels: LabelReport
    training: TrainResult


@dataclass(frozen=True)
class FinetuneResult:
    """What a fine-tuning came to.

    Args:
        report: The report, a Markdown file.
        weights: The best weights of the last round.
        images: The files and folders, as they were given.
        start: The weights from which the first round began, as they were named.
        rounds: At least one.
        evaluation: Of `start` and the network of each round, `round 1` and so on, beside other methods.
    """

    report: Path
    weights: Path
    images: tuple[Path, ...]
    start: str
    rounds: tuple[RoundResult, ...]
    evaluation: PairsEvaluation
