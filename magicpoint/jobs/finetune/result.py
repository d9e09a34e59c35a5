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
class StudentResult:
    """One smaller network, and how it learnt from the last round's.

    Args:
        width: Of the network.
        training: What came of the training.
    """

    width: float
    training: TrainResult

    @property
    def name(self) -> str:
        """By which tables call it."""
        return student_name(self.width)


def student_name(width: float) -> str:
    """How tables call the smaller network of a width."""
    return f"width {width:g}"


@dataclass(frozen=True)
class FinetuneResult:
    """What a fine-tuning came to.

    Args:
        report: The report, a Markdown file.
        weights: The best weights of the last round.
        images: The files and folders, as they were given.
        start: The weights from which the first round began, as they were named.
        rounds: At least one.
        students: Smaller networks, in the order in which they were asked for.
        evaluation: Of `start`, the network of each round, `round 1` and so on, and each student, `width 0.25`, beside
            other methods.
    """

    report: Path
    weights: Path
    images: tuple[Path, ...]
    start: str
    rounds: tuple[RoundResult, ...]
    students: tuple[StudentResult, ...]
    evaluation: PairsEvaluation
