"""Detectors on synthetic shapes, on the same images in the same run."""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from synthetic_shapes import SHAPES_WITH_KEYPOINTS

from ...core.machine import versions
from ...data.pinned_images import (
    CHUNK_SIZE,
    CONDITIONS,
    NOISE,
    PINNED_DIGESTS,
    SEED,
    TEST,
    TEST_IMAGES_PER_SHAPE,
    VALIDATION,
    SampleDigest,
)
from ...measures.detection import BORDER, DetectionScores, ImageOutcome, match_image, summarize
from ...measures.statistics import mean_of_defined
from ..methods.for_shapes import NMS_RADIUS, Detector, detect_all
from .repeatability import REPEATABILITY_MEASURES, REPEATABILITY_PAIRS, REPEATABILITY_TOLERANCE, WARPS, repeat_shape

PROTOCOLS = {"paper": 4.0, "strict": 2.0}
"""Largest distance of a match in pixels, by the name of the protocol.

The paper's appendix B does not state its own; 4 is what its authors state for the same experiment in Toward Geometric
Deep SLAM (arXiv 1707.07410). There every detection near a corner is right; here it is one detection for each corner.
"""

CALIBRATION_IMAGES = 20
CURVE_POINTS = 60

MEASURES = ("ap", "precision", "recall", "localization_error", "keypoints_per_image")


def evaluate_detectors(
    detectors: Sequence[Detector],
    images_per_shape: int = TEST_IMAGES_PER_SHAPE,
    thresholds: Mapping[str, float] | None = None,
    progress: bool = False,
) -> dict[str, Any]:
    """Evaluates detectors on the first images of each shape of the test set, clean and with noise.

    Average precision is that of all detections of a shape's images pooled; overall measures are means over the shapes
    (where defined), as the paper's are over its categories. The rules of counting are those of
    ``measures.detection.score_detections``. Images are rendered and forgotten a few at a time.

    Args:
        detectors: Their names differ.
        images_per_shape: 1 or more.
        thresholds: Score from which on a detector's keypoints enter precision, recall, localisation error, counts and
            repeatability, by its name. One that is not named gets what ``calibrate`` finds, in its favour: a threshold
            for each condition.
        progress: Show a progress bar on the standard error.

    Returns:
        What the JSON file holds: the protocol, the test set with its digests, versions, and for each method its
        settings, measures and curves. Undefined measures are None.

    Raises:
        ValueError: ``images_per_shape`` is below 1.
    """
    if images_per_shape < 1:
        raise ValueError(f"images_per_shape must be at least 1, got {images_per_shape}")
    given = {name: dict.fromkeys(CONDITIONS, threshold) for name, threshold in (thresholds or {}).items()}
    used = {d.name: given[d.name] if d.name in given else calibrate(d) for d in detectors}
    digests = {condition: SampleDigest() for condition in CONDITIONS}
    measures: dict[str, dict[str, Any]] = {detector.name: {} for detector in detectors}
    with tqdm(total=images_per_shape * len(SHAPES_WITH_KEYPOINTS), unit="image", disable=not progress) as bar:
        for shape in SHAPES_WITH_KEYPOINTS:
            outcomes = _detect_shape(detectors, shape, images_per_shape, digests, bar)
            pairs = repeat_shape(detectors, used, shape, min(images_per_shape, REPEATABILITY_PAIRS))
            for name, of_shapes in measures.items():
                of_shapes[shape] = {
                    condition: {
                        protocol: _as_plain(summarize(outcomes[name, condition, protocol], used[name][condition]))
                        for protocol in PROTOCOLS
                    }
                    | {"repeatability": _rounded_all(pairs[name, condition])}
                    for condition in CONDITIONS
                }
    methods = {
        detector.name: {
            "settings": detector.settings(),
            "thresholds": used[detector.name],
            "thresholds_from": "given" if detector.name in given else "largest F1 on validation images",
            "overall": _overall(measures[detector.name]),
            "shapes": measures[detector.name],
        }
        for detector in detectors
    }
    return {**_conditions(images_per_shape, digests), "methods": methods}


def calibrate(detector: Detector) -> dict[str, float]:
    """For each condition the threshold with the largest F1 at the strict tolerance on validation images."""
    outcomes: dict[str, list[ImageOutcome]] = {condition: [] for condition in CONDITIONS}
    for shape in SHAPES_WITH_KEYPOINTS:
        for condition, samples in VALIDATION.both(shape, range(CALIBRATION_IMAGES)).items():
            found = detector.detect([image for image, _ in samples])
            outcomes[condition] += [
                match_image(detections, keypoints, PROTOCOLS["strict"], BORDER, TEST.image_size)
                for detections, (_, keypoints) in zip(found, samples, strict=True)
            ]
    return {condition: summarize(of_condition).threshold for condition, of_condition in outcomes.items()}


def _detect_shape(
    detectors: Sequence[Detector], shape: str, count: int, digests: Mapping[str, SampleDigest], bar: tqdm[Any]
) -> dict[tuple[str, str, str], list[ImageOutcome]]:
    """The outcomes by method, condition and protocol."""
    outcomes: dict[tuple[str, str, str], list[ImageOutcome]] = defaultdict(list)
    for start in range(0, count, CHUNK_SIZE):
        indices = range(start, min(start + CHUNK_SIZE, count))
        for condition, samples in TEST.both(shape, indices).items():
            digests[condition].add(samples)
            for name, found in detect_all(detectors, [image for image, _ in samples]).items():
                for detections, (_, keypoints) in zip(found, samples, strict=True):
                    for protocol, tolerance in PROTOCOLS.items():
                        outcome = match_image(detections, keypoints, tolerance, BORDER, TEST.image_size)
                        outcomes[name, condition, protocol].append(outcome)
        bar.update(len(indices))
    return outcomes


def _as_plain(scores: DetectionScores) -> dict[str, Any]:
    plain = _rounded_all({name: getattr(scores, name) for name in MEASURES})
    recall, precision = scores.curve.recall, np.maximum.accumulate(scores.curve.precision[::-1])[::-1]
    curve: list[tuple[float | None, float | None]] = []
    if scores.truth_count and len(recall):
        for wanted in np.linspace(0.0, recall[-1], CURVE_POINTS):
            curve.append((_rounded(wanted), _rounded(precision[np.searchsorted(recall, wanted)])))
    return {**plain, "truth_count": scores.truth_count, "image_count": scores.image_count, "curve": curve}


def _overall(shapes: Mapping[str, Any]) -> dict[str, Any]:
    """Means over the shapes of every measure that is defined."""

    def mean(condition: str, part: str, name: str) -> float | None:
        values = [shape[condition][part][name] for shape in shapes.values()]
        return _rounded(mean_of_defined([math.nan if value is None else value for value in values]))

    parts = {**dict.fromkeys(PROTOCOLS, MEASURES), "repeatability": REPEATABILITY_MEASURES}
    return {
        condition: {part: {name: mean(condition, part, name) for name in names} for part, names in parts.items()}
        for condition in CONDITIONS
    }


def _conditions(images_per_shape: int, digests: Mapping[str, SampleDigest]) -> dict[str, Any]:
    """All that the measures depend on besides the methods."""
    pinned = images_per_shape == TEST_IMAGES_PER_SHAPE
    return {
        "dataset": "synthetic",
        "test_set": {
            "stream": TEST.stream,
            "seed": SEED,
            "size": list(TEST.size),
            "shapes": list(SHAPES_WITH_KEYPOINTS),
            "images_per_shape": images_per_shape,
            "noise": dataclasses.asdict(NOISE),
            "digests": {condition: digest.hexdigest() for condition, digest in digests.items()},
            "pinned_digests": dict(PINNED_DIGESTS) if pinned else None,
        },
        "protocol": {
            "tolerances": dict(PROTOCOLS),
            "matching": "one to one, by decreasing score",
            "average_precision": "pooled over a shape, interpolated at all points; overall: mean of the shapes",
            "border": BORDER,
            "nms_radius": NMS_RADIUS,
            "repeatability": {
                "pairs_per_shape": min(images_per_shape, REPEATABILITY_PAIRS),
                "tolerance": REPEATABILITY_TOLERANCE,
                "warps": dataclasses.asdict(WARPS),
            },
        },
        "versions": versions(),
    }


def _rounded(value: float) -> float | None:
    """Six digits; None for nan, which JSON does not have."""
    return None if math.isnan(value) else round(float(value), 6)


def _rounded_all(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: _rounded(value) for name, value in values.items()}
