"""What an evaluation on synthetic shapes gives.

Measures have six digits; one that nothing defines, such as the error of no match, is nan. Conditions are
`data.pinned_images.CONDITIONS`, the names of tolerances `shapes.run.TOLERANCES`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from homography import HomographySettings

from ...data.photometric import PhotometricSettings
from ..methods.base import MethodSettings


@dataclass(frozen=True)
class DetectionMeasures:
    """How well corners are found.

    Args:
        ap: Average precision of all detections, in [0, 1]; the others are of the detections from the threshold on.
        precision: Share of the detections that are true.
        recall: Share of the true corners that were found.
        localization_error: Mean distance in pixels of the true detections.
        keypoints_per_image: Mean number of detections outside the border.
    """

    ap: float
    precision: float
    recall: float
    localization_error: float
    keypoints_per_image: float


@dataclass(frozen=True)
class ShapeDetection(DetectionMeasures):
    """The same on the images of one shape.

    Args:
        truth_count: Number of true corners that count.
        image_count: Number of images.
        curve: (recall, precision) at even steps of the recall; empty without a detection or a true corner.
    """

    truth_count: int
    image_count: int
    curve: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class RepeatabilityMeasures:
    """How many keypoints of two views are found in both, see `measures.repeatability`; means over pairs of views."""

    one_to_one: float
    many_to_one: float
    localization_error: float


@dataclass(frozen=True)
class ShapeRepeatability(RepeatabilityMeasures):
    """The same on the images of one shape.

    Args:
        pairs_without_keypoints: Number of pairs of views of which neither has a keypoint that the other shows.
    """

    pairs_without_keypoints: int


@dataclass(frozen=True)
class OverallMeasures:
    """Means over the shapes, where they are defined, in one condition.

    Args:
        detection: By the name of the tolerance.
        repeatability: Under known warps.
    """

    detection: Mapping[str, DetectionMeasures]
    repeatability: RepeatabilityMeasures


@dataclass(frozen=True)
class ShapeMeasures:
    """The measures on one shape in one condition.

    Args:
        detection: By the name of the tolerance.
        repeatability: Under known warps.
    """

    detection: Mapping[str, ShapeDetection]
    repeatability: ShapeRepeatability


@dataclass(frozen=True)
class ShapesMethodResult:
    """What a method came to.

    Args:
        settings: By name.
        thresholds: Score from which on detections enter all measures but the average precision, by condition.
        thresholds_from: Where they come from, in words.
        overall: By condition.
        shapes: By shape and condition.
    """

    settings: MethodSettings
    thresholds: Mapping[str, float]
    thresholds_from: str
    overall: Mapping[str, OverallMeasures]
    shapes: Mapping[str, Mapping[str, ShapeMeasures]]


@dataclass(frozen=True)
class ShapesTestSet:
    """The images.

    Args:
        stream: Their name among the streams of rendered samples.
        seed: Their seed.
        size_hw: (H, W) in pixels.
        shapes: Names of the shapes.
        images_per_shape: Of each shape, in each condition.
        changes: What is done to the images in each condition but the clean one.
        digests: SHA-256 of images and corners, by condition.
        pinned_digests: What they are with the pinned versions; None where these are not all images of the test set.
    """

    stream: str
    seed: int
    size_hw: tuple[int, int]
    shapes: tuple[str, ...]
    images_per_shape: int
    changes: Mapping[str, PhotometricSettings]
    digests: Mapping[str, str]
    pinned_digests: Mapping[str, str | None] | None


@dataclass(frozen=True)
class RepeatabilityProtocol:
    """How pairs of views are made and compared.

    Args:
        pairs_per_shape: The first images of each shape.
        tolerance: Pixels.
        warps: From which the second view is drawn.
    """

    pairs_per_shape: int
    tolerance: float
    warps: HomographySettings


@dataclass(frozen=True)
class ShapesProtocol:
    """How detections are compared with the true corners.

    Args:
        tolerances: Largest distance of a match in pixels, by its name.
        matching: In words.
        average_precision: In words.
        border: Pixels at each side of the image in which nothing counts.
        nms_radius: Of the suppression, in pixels, for every method but networks, whose own is in their settings.
        repeatability: Of pairs of views.
    """

    tolerances: Mapping[str, float]
    matching: str
    average_precision: str
    border: int
    nms_radius: int
    repeatability: RepeatabilityProtocol


@dataclass(frozen=True)
class EvaluatedWeights:
    """The weights of the network that is compared.

    Args:
        weights: Their name.
        weights_hash: See `model.weights.weights_hash`.
    """

    weights: str
    weights_hash: str


@dataclass(frozen=True)
class ShapesEvaluation:
    """Methods compared on synthetic shapes, and all that their measures depend on.

    Args:
        test_set: The images.
        protocol: How they are compared.
        versions: Of what the results depend on, by package.
        methods: By name.
        weights: Of the network among them, where there is one.
    """

    test_set: ShapesTestSet
    protocol: ShapesProtocol
    versions: Mapping[str, str]
    methods: Mapping[str, ShapesMethodResult]
    weights: EvaluatedWeights | None = None
