"""Methods on synthetic shapes, on the same images in the same run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

import numpy as np
from tqdm import tqdm

from synthetic_shapes import SHAPES_WITH_KEYPOINTS

from ...core.errors import InputError
from ...core.machine import versions
from ...data.pinned_images import (
    CHANGES,
    CHUNK_SIZE,
    CONDITIONS,
    PINNED_DIGESTS,
    SEED,
    TEST,
    TEST_IMAGES_PER_SHAPE,
    VALIDATION,
    SampleDigest,
)
from ...measures.detection import BORDER, DetectionScores, ImageOutcome, match_detections, summarize_outcomes
from ...measures.statistics import mean_of_defined, rounded
from ..methods.base import ShapesMethod
from ..methods.on_shapes import NMS_RADIUS, detect_all
from .repeatability import REPEATABILITY_PAIRS, REPEATABILITY_TOLERANCE, WARPS, repeat_shape
from .results import (
    DetectionMeasures,
    OverallMeasures,
    RepeatabilityMeasures,
    RepeatabilityProtocol,
    ShapeDetection,
    ShapeMeasures,
    ShapesEvaluation,
    ShapesMethodResult,
    ShapesProtocol,
    ShapesTestSet,
)

TOLERANCES = {"paper": 4.0, "strict": 2.0}
"""Largest distance of a match in pixels, by its name.

The paper's appendix B does not state its own; 4 is what its authors state for the same experiment in Toward Geometric
Deep SLAM (arXiv 1707.07410). There every detection near a corner is right; here it is one detection for each corner.
"""

CALIBRATION_IMAGES = 20
MOST_IMAGES = 10_000  # of a shape; they are in memory together, and 1000 are pinned
CURVE_POINTS = 60


def evaluate_on_shapes(
    methods: Mapping[str, ShapesMethod],
    images_per_shape: int = TEST_IMAGES_PER_SHAPE,
    thresholds: Mapping[str, float] | None = None,
    progress: bool = False,
) -> ShapesEvaluation:
    """Evaluates methods on the first images of each shape of the test set, clean and with noise.

    Average precision is that of all detections of a shape's images pooled; overall measures are means over the shapes
    (where defined), as the paper's are over its categories. The rules of counting are those of
    `measures.detection.score_against_truth`. Images are rendered and forgotten a few at a time.

    Args:
        methods: By name.
        images_per_shape: 1 or more.
        thresholds: Score from which on a method's keypoints enter precision, recall, localisation error, counts and
            repeatability, by its name. One that is not named gets what `calibrate` finds, in its favour: a threshold
            for each condition.
        progress: Show a progress bar on the standard error.

    Raises:
        InputError: `images_per_shape` is below 1 or above `MOST_IMAGES`.
    """
    if not 1 <= images_per_shape <= MOST_IMAGES:
        raise InputError(f"images_per_shape must be from 1 to {MOST_IMAGES}, got {images_per_shape}")
    given = {name: dict.fromkeys(CONDITIONS, threshold) for name, threshold in (thresholds or {}).items()}
    used = {name: given[name] if name in given else calibrate(method) for name, method in methods.items()}
    digests = {condition: SampleDigest() for condition in CONDITIONS}
    measures: dict[str, dict[str, dict[str, ShapeMeasures]]] = {name: {} for name in methods}
    with tqdm(total=images_per_shape * len(SHAPES_WITH_KEYPOINTS), unit="image", disable=not progress) as bar:
        for shape in SHAPES_WITH_KEYPOINTS:
            outcomes = _detect_shape(methods, shape, images_per_shape, digests, bar)
            pairs = repeat_shape(methods, used, shape, min(images_per_shape, REPEATABILITY_PAIRS))
            for name, of_shapes in measures.items():
                of_shapes[shape] = {}
                for condition in CONDITIONS:
                    threshold = used[name][condition]
                    detection = {
                        tolerance: _measures(summarize_outcomes(outcomes[name, condition, tolerance], threshold))
                        for tolerance in TOLERANCES
                    }
                    of_shapes[shape][condition] = ShapeMeasures(detection, pairs[name, condition])
    results = {
        name: ShapesMethodResult(
            settings=method.settings(),
            thresholds=used[name],
            thresholds_from="given" if name in given else "largest F1 on validation images",
            overall={
                condition: _overall([of_shape[condition] for of_shape in measures[name].values()])
                for condition in CONDITIONS
            },
            shapes=measures[name],
        )
        for name, method in methods.items()
    }
    return ShapesEvaluation(_test_set(images_per_shape, digests), _protocol(images_per_shape), versions(), results)


def calibrate(method: ShapesMethod) -> dict[str, float]:
    """For each condition the threshold with the largest F1 at the strict tolerance on validation images."""
    outcomes: dict[str, list[ImageOutcome]] = {condition: [] for condition in CONDITIONS}
    for shape in SHAPES_WITH_KEYPOINTS:
        for condition, samples in VALIDATION.under_all(shape, range(CALIBRATION_IMAGES)).items():
            found = method.detect([image for image, _ in samples])
            outcomes[condition] += [
                match_detections(detections, keypoints, TOLERANCES["strict"], BORDER, TEST.image_size)
                for detections, (_, keypoints) in zip(found, samples, strict=True)
            ]
    return {condition: summarize_outcomes(of_condition).threshold for condition, of_condition in outcomes.items()}


def _detect_shape(
    methods: Mapping[str, ShapesMethod],
    shape: str,
    count: int,
    digests: Mapping[str, SampleDigest],
    bar: tqdm[Any],
) -> dict[tuple[str, str, str], list[ImageOutcome]]:
    """The outcomes by method, condition and name of the tolerance."""
    outcomes: dict[tuple[str, str, str], list[ImageOutcome]] = defaultdict(list)
    for start in range(0, count, CHUNK_SIZE):
        indices = range(start, min(start + CHUNK_SIZE, count))
        for condition, samples in TEST.under_all(shape, indices).items():
            digests[condition].add(samples)
            for name, found in detect_all(methods, [image for image, _ in samples]).items():
                for detections, (_, keypoints) in zip(found, samples, strict=True):
                    for tolerance, distance in TOLERANCES.items():
                        outcome = match_detections(detections, keypoints, distance, BORDER, TEST.image_size)
                        outcomes[name, condition, tolerance].append(outcome)
        bar.update(len(indices))
    return outcomes


def _measures(scores: DetectionScores) -> ShapeDetection:
    recall, precision = scores.curve.recall, np.maximum.accumulate(scores.curve.precision[::-1])[::-1]
    curve: list[tuple[float, float]] = []
    if scores.truth_count and len(recall):
        for wanted in np.linspace(0.0, recall[-1], CURVE_POINTS):
            curve.append((rounded(wanted), rounded(precision[np.searchsorted(recall, wanted)])))
    return ShapeDetection(
        ap=rounded(scores.ap),
        precision=rounded(scores.precision),
        recall=rounded(scores.recall),
        localization_error=rounded(scores.localization_error),
        keypoints_per_image=rounded(scores.keypoints_per_image),
        truth_count=scores.truth_count,
        image_count=scores.image_count,
        curve=tuple(curve),
    )


def _overall(shapes: Iterable[ShapeMeasures]) -> OverallMeasures:
    """Means over the shapes of every measure, where it is defined."""
    shapes = list(shapes)
    detection = {
        tolerance: DetectionMeasures(**_means(DetectionMeasures, [shape.detection[tolerance] for shape in shapes]))
        for tolerance in TOLERANCES
    }
    repeatability = _means(RepeatabilityMeasures, [shape.repeatability for shape in shapes])
    return OverallMeasures(detection, RepeatabilityMeasures(**repeatability))


def _means(measures: type, values: Iterable[object]) -> dict[str, float]:
    """The mean of each field of a dataclass."""
    values = list(values)
    return {
        field.name: rounded(mean_of_defined([getattr(value, field.name) for value in values]))
        for field in fields(measures)
    }


def _test_set(images_per_shape: int, digests: Mapping[str, SampleDigest]) -> ShapesTestSet:
    return ShapesTestSet(
        stream=TEST.stream,
        seed=SEED,
        size_hw=TEST.size_hw,
        shapes=tuple(SHAPES_WITH_KEYPOINTS),
        images_per_shape=images_per_shape,
        changes=dict(CHANGES),
        digests={condition: digest.hexdigest() for condition, digest in digests.items()},
        pinned_digests=dict(PINNED_DIGESTS) if images_per_shape == TEST_IMAGES_PER_SHAPE else None,
    )


def _protocol(images_per_shape: int) -> ShapesProtocol:
    return ShapesProtocol(
        tolerances=dict(TOLERANCES),
        matching="one to one, by decreasing score",
        average_precision="pooled over a shape, interpolated at all points; overall: mean of the shapes",
        border=BORDER,
        nms_radius=NMS_RADIUS,
        repeatability=RepeatabilityProtocol(min(images_per_shape, REPEATABILITY_PAIRS), REPEATABILITY_TOLERANCE, WARPS),
    )
