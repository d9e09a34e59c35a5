"""Detections against the true points, pooled over images: which count, and what is measured on them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .metrics import AveragePrecision, average_precision, match_one_to_one

Detections = tuple[ArrayLike, ArrayLike]
"""Keypoints (N, 2), (x, y), of one image and their scores (N,), the larger the more certain."""

BORDER = 4
"""Pixels at each side of the image in which nothing counts: the decoder's default."""

LOWEST_SCORE = 1e-3
"""The network's detections from here on enter its curve, whose tail lies below the decoder's threshold."""


@dataclass(frozen=True, eq=False)
class ImageOutcome:
    """What became of the detections of one image.

    Args:
        keypoints: (N, 2) of the detections outside the border.
        scores: (N,) of these detections.
        distances: (N,) in pixels to the true point of each; nan where it has none.
        counted: bool (N,); False where a detection is of a true point that does not count.
        truth_count: Number of true points that count.
    """

    keypoints: NDArray[np.float64]
    scores: NDArray[np.float64]
    distances: NDArray[np.float64]
    counted: NDArray[np.bool_]
    truth_count: int


@dataclass(frozen=True, eq=False)
class DetectionScores:
    """The measures of a detector on a set of images.

    Args:
        ap: Average precision over all detections pooled, in [0, 1]; nan without true points.
        threshold: The score from which on the detections enter the measures below; those above do not depend on it.
        localization_error: Mean distance in pixels of the true positives; nan without one.
        precision: Share of the detections that are true positives; nan without a detection.
        recall: Share of the true points that were found; nan without true points.
        keypoints_per_image: Mean number of detections outside the border.
        truth_count: Number of true points that count.
        image_count: Number of images.
        curve: Precision and recall over all thresholds.
    """

    ap: float
    threshold: float
    localization_error: float
    precision: float
    recall: float
    keypoints_per_image: float
    truth_count: int
    image_count: int
    curve: AveragePrecision


def match_image(
    detections: Detections, truth: ArrayLike, tolerance: float, border: int, image_size: tuple[int, int]
) -> ImageOutcome:
    """Decides which detections of one image are right; see ``score_detections`` for the rules."""
    points, scores = np.asarray(detections[0], np.float64), np.asarray(detections[1], np.float64)
    truth = np.asarray(truth, np.float64)
    inside = outside_border(points, border, image_size)
    points, scores = points[inside], scores[inside]
    counts = outside_border(truth, border, image_size)

    matches = match_one_to_one(points, scores, truth[counts], tolerance)
    found = matches >= 0
    distances = np.full(len(points), np.nan)
    distances[found] = np.linalg.norm(points[found] - truth[counts][matches[found]], axis=1)
    counted = found.copy()
    counted[~found] = match_one_to_one(points[~found], scores[~found], truth[~counts], tolerance) < 0
    return ImageOutcome(points, scores, distances, counted, int(counts.sum()))


def outside_border(points: NDArray[np.floating], border: int, image_size: tuple[int, int]) -> NDArray[np.bool_]:
    """Which points (N, 2) have their nearest pixel outside the border; bool (N,).

    Those halfway between two pixels have it, since a keypoint may be refined to half a pixel from its pixel's centre.
    """
    least, most = border - 0.5, np.array(image_size) - border - 0.5
    inside: NDArray[np.bool_] = np.all((points >= least) & (points <= most), axis=1)
    return inside


def summarize(outcomes: Sequence[ImageOutcome], threshold: float | None = None) -> DetectionScores:
    """The measures over images that ``match_image`` scored.

    Args:
        outcomes: One for each image.
        threshold: The score from which on detections enter precision, recall, localisation error and count; None takes
            the one with the largest F1 (the harmonic mean of precision and recall) on these very images.
    """
    truth_count = sum(outcome.truth_count for outcome in outcomes)
    curve = average_precision(
        [(o.scores[o.counted], np.isfinite(o.distances[o.counted])) for o in outcomes], truth_count
    )
    if threshold is None:
        threshold = _best_threshold(curve)
    scores, distances, counted = (
        np.concatenate([np.zeros(0), *(getattr(o, name) for o in outcomes)])
        for name in ("scores", "distances", "counted")
    )
    chosen = scores >= threshold
    errors = distances[chosen & np.isfinite(distances)]
    detected = int((chosen & (counted > 0)).sum())
    return DetectionScores(
        ap=curve.ap,
        threshold=threshold,
        localization_error=_ratio(float(errors.sum()), len(errors)),
        precision=_ratio(len(errors), detected),
        recall=_ratio(len(errors), truth_count),
        keypoints_per_image=_ratio(int(chosen.sum()), len(outcomes)),
        truth_count=truth_count,
        image_count=len(outcomes),
        curve=curve,
    )


def _best_threshold(curve: AveragePrecision) -> float:
    total = curve.precision + curve.recall
    if not len(total) or not np.any(total > 0):
        return 0.0
    f1 = 2.0 * curve.precision * curve.recall / np.where(total > 0, total, 1.0)
    return float(curve.thresholds[f1.argmax()])


def _ratio(numerator: float, denominator: int) -> float:
    return numerator / denominator if denominator else float("nan")


def score_detections(
    detections: Sequence[Detections],
    truths: Sequence[ArrayLike],
    tolerance: float,
    border: int,
    image_size: tuple[int, int],
    threshold: float | None = None,
) -> DetectionScores:
    """Compares the detections of some images of one size with their true points.

    Detections and true points are matched one to one by decreasing score (``metrics.match_one_to_one``). Detections
    whose nearest pixel lies in the border are left out, as the decoder leaves them out, for every method. The true
    points there do not count either, neither as found nor as missed: a detection that matches none but such a point
    (one to one, too) is not a false positive, it is left out as well. A true point just inside whose detection comes to
    lie in the border counts as missed.

    Args:
        detections: For each image keypoints (N, 2) and scores (N,).
        truths: For each image (M, 2).
        tolerance: Largest distance of a match in pixels, itself included.
        border: Pixels at each side of the image.
        image_size: (W, H).
        threshold: As for ``summarize``.

    Raises:
        ValueError: The lengths or shapes do not fit, or a value is not finite.
    """
    if len(detections) != len(truths):
        raise ValueError(f"detections of {len(detections)} images do not fit {len(truths)} images of true points")
    outcomes = [
        match_image(found, truth, tolerance, border, image_size)
        for found, truth in zip(detections, truths, strict=True)
    ]
    return summarize(outcomes, threshold)


def mean_of_defined(values: Sequence[float]) -> float:
    """The mean over the values that are not nan; nan without one."""
    defined = [value for value in values if not math.isnan(value)]
    return math.fsum(defined) / len(defined) if defined else float("nan")
