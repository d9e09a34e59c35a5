"""What an evaluation on image pairs gives.

A measure has six digits; one that nothing defines is nan, and a corner error without an estimate infinite.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ...data.hpatches import Change
from ..methods.base import MethodSettings

Split = Literal["illumination", "viewpoint", "all"]
"""Pairs of one kind of change, or all."""


@dataclass(frozen=True)
class PairsProtocol:
    """The conditions of one comparison.

    Args:
        image_size: (W, H) to which every image is resized whatever its aspect, see `run.resize_image`; None keeps its
            size.
        max_keypoints: Of each image, before it is known which of them the other view shows.
        nms_radii: Each gives results of its own.
        matching: Whether descriptors are compared too; see `Selection` for what this means for OpenCV's features.
    """

    image_size: tuple[int, int] | None
    max_keypoints: int
    nms_radii: tuple[int, ...]
    matching: bool


@dataclass(frozen=True)
class PairResult:
    """The measures of a method on one pair.

    Args:
        sequence: Name of the sequence.
        change: What differs between its images.
        view: k of the pair of images 1 and k.
        measures: By the names of `score.measure_pair`.
    """

    sequence: str
    change: Change
    view: int
    measures: Mapping[str, float]


@dataclass(frozen=True)
class Mean:
    """A measure over the pairs of a split.

    Args:
        mean: Over the pairs in which it is defined; nan where there are none, as are the ends of the intervals.
        interval: Bootstrap over pairs, lower and upper end.
        interval_sequences: Bootstrap over sequences.
        count: Number of pairs in which the measure is defined.
        undefined: Number of the others.
    """

    mean: float
    interval: tuple[float, float]
    interval_sequences: tuple[float, float]
    count: int
    undefined: int


@dataclass(frozen=True)
class PairsMethodResult:
    """What a method came to under one protocol and one suppression.

    Args:
        splits: By split the mean of each measure, by its name; those of matching are of methods with descriptors.
        pairs: Each pair for itself.
    """

    splits: Mapping[Split, Mapping[str, Mean]]
    pairs: tuple[PairResult, ...]


@dataclass(frozen=True)
class EvaluatedSequence:
    """A sequence of the dataset.

    Args:
        change: What differs between its images.
        views: k of each pair of images 1 and k.
        digest: SHA-256 of its images and homographies; empty where an earlier version did not tell it.
    """

    change: Change
    views: tuple[int, ...]
    digest: str = ""


@dataclass(frozen=True)
class Bootstrap:
    """How the intervals are drawn: the share of means inside, the number of draws and their seed."""

    level: float
    count: int
    seed: int


@dataclass(frozen=True)
class PairsSettings:
    """What the measures depend on besides protocols and methods.

    Args:
        tolerance: Pixels of view 1, of repeatability, matching score and NN mAP.
        matching: How descriptors are matched, in words.
        matching_thresholds: Pixels, of the matching accuracy.
        homography_thresholds: Pixels, of the corner error.
        estimator: Of homographies, in words.
        border: Pixels at each side of the resized image, without keypoints.
        resizing: In words.
        bootstrap: Of the intervals.
    """

    tolerance: float
    matching: str
    matching_thresholds: tuple[int, ...]
    homography_thresholds: tuple[int, ...]
    estimator: str
    border: int
    resizing: str
    bootstrap: Bootstrap


@dataclass(frozen=True)
class PairsEvaluation:
    """Methods compared on image pairs with known homographies, and all that their measures depend on.

    Args:
        sequences: By name.
        digest: SHA-256 over the digests of the sequences.
        protocols: By name.
        settings: What is the same under all protocols.
        methods: The settings of each method, by its name.
        versions: Of what the results depend on, by package.
        results: By protocol, radius of the suppression and method.
    """

    sequences: Mapping[str, EvaluatedSequence]
    digest: str
    protocols: Mapping[str, PairsProtocol]
    settings: PairsSettings
    methods: Mapping[str, MethodSettings]
    versions: Mapping[str, str]
    results: Mapping[str, Mapping[int, Mapping[str, PairsMethodResult]]]

    def mean(self, protocol: str, nms_radius: int, method: str, split: Split, measure: str) -> float:
        """One figure of the tables.

        Raises:
            KeyError: There is no such result, or the method has no such measure.
        """
        return self.results[protocol][nms_radius][method].splits[split][measure].mean

    @property
    def pair_count(self) -> int:
        """Number of pairs of all sequences."""
        return sum(len(sequence.views) for sequence in self.sequences.values())

    @property
    def changes(self) -> list[Change]:
        """The kinds of change of which there are pairs."""
        return sorted({sequence.change for sequence in self.sequences.values()})
