"""What an evaluation on labelled images gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..methods.base import MethodSettings
from ..shapes.results import DetectionMeasures


@dataclass(frozen=True)
class LabelsMethodResult:
    """What a method came to.

    Args:
        settings: By name.
        threshold: Score from which on detections enter all measures but the average precision.
        threshold_from: Where it comes from, in words.
        measures: By the tolerance, in pixels. Average precision is pooled over all images.
    """

    settings: MethodSettings
    threshold: float
    threshold_from: str
    measures: Mapping[str, DetectionMeasures]


@dataclass(frozen=True)
class LabelsEvaluation:
    """Methods compared on labelled images, and all that their measures depend on.

    Args:
        labels: Name of the file of labels.
        holdout: Share of the images that were held out from training, which are these; None: all.
        images: Number of images.
        points: Number of their points, without those on pixels that are masked.
        digest: SHA-256 of the labels.
        border: Pixels at each side of an image in which nothing counts.
        matching: In words.
        versions: Of what the results depend on, by package.
        methods: By name.
    """

    labels: str
    holdout: float | None
    images: int
    points: int
    digest: str
    border: int
    matching: str
    versions: Mapping[str, str]
    methods: Mapping[str, LabelsMethodResult]
