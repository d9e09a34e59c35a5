"""The measures of a detector, as functions of points: what each one counts is written down with it.

A measure that nothing defines, such as the error of no match, is nan: leave it out of a mean and report how many were
left out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .points import Floats, as_points, as_values, check_tolerance, distances_between, is_inside, mean_or_nan


def match_one_to_one(detected: ArrayLike, scores: ArrayLike, truth: ArrayLike, tolerance: float) -> NDArray[np.int64]:
    """Assign detections to true points, each to at most one of the other.

    The detections choose in order of decreasing score, and each takes the nearest true point that is still free and at
    most `tolerance` away. So the second detection of a corner is a false positive. Among equal scores the detection
    closest to any true point chooses first, then the one with the smaller x, then y; and of two true points as near the
    one with the smaller x, then y, is taken. So the order of the input does not matter.

    Args:
        detected: (N, 2).
        scores: (N,).
        truth: (M, 2).
        tolerance: Largest distance of a match in pixels, itself included.

    Returns:
        (N,): for each detection the index of its true point, or -1.

    Raises:
        ValueError: A shape does not fit, a value is not finite, or the tolerance is negative or nan.

    Examples:
        >>> detected = [[10, 10], [11, 10], [50, 50]]
        >>> match_one_to_one(detected, [0.9, 0.8, 0.7], [[10, 10], [51, 50]], tolerance=4).tolist()
        [0, -1, 1]
    """
    detected, truth = as_points("detected", detected), as_points("truth", truth)
    scores = as_values("scores", scores)
    if len(scores) != len(detected):
        raise ValueError(f"{len(scores)} scores do not fit {len(detected)} detected points")
    check_tolerance(tolerance)
    by_place = np.lexsort((truth[:, 1], truth[:, 0]))
    distances = distances_between(detected, truth[by_place])
    matches = np.full(len(detected), -1)
    nearest = distances.min(axis=1, initial=np.inf)
    for i in np.lexsort((detected[:, 1], detected[:, 0], nearest, -scores)):
        if nearest[i] > tolerance:
            continue
        j = distances[i].argmin()
        if distances[i, j] <= tolerance:
            matches[i] = by_place[j]
            distances[:, j] = np.inf
    return matches


@dataclasses.dataclass(frozen=True, eq=False)
class AveragePrecision:
    """A precision-recall curve and the area under it.

    Args:
        thresholds: (K,) the different scores, decreasing; point k of the curve counts the detections that score this
            or more.
        precision: (K,) share of these detections that are true positives, as counted, not interpolated.
        recall: (K,) share of the true points that they found.
        ap: The area, in [0, 1]; nan where there are no true points.
    """

    thresholds: Floats
    precision: Floats
    recall: Floats
    ap: float


def average_precision(images: Sequence[tuple[ArrayLike, ArrayLike]], truth_count: int) -> AveragePrecision:
    """Area under the precision-recall curve of the detections of all images together.

    The precision is interpolated at all points: at a recall r it is the largest precision at any recall of r or more,
    and the area is the sum of recall steps times interpolated precision. Detections of equal score enter the curve
    together, so their order does not matter. It is one curve over all images, not a mean of one area per image. State
    the tolerance that decided the true positives with the number.

    Args:
        images: For each image the scores (N,) of its detections and whether each is a true positive, bool (N,).
        truth_count: Number of true points in all images.

    Raises:
        ValueError: Lengths differ, a score is not finite, or there are more true positives than true points.
    """
    pairs = [(as_values("scores", scores), np.asarray(positive)) for scores, positive in images]
    for scores, positive in pairs:
        if scores.shape != positive.shape or (positive.size and positive.dtype != np.bool_):
            raise ValueError(f"need one bool for each of {scores.shape} scores, got {positive.dtype} {positive.shape}")
    scores = np.concatenate([np.zeros(0), *(scores for scores, _ in pairs)])
    positives = np.concatenate([np.zeros(0, bool), *(positive.astype(bool) for _, positive in pairs)])
    if positives.sum() > truth_count:
        raise ValueError(f"{positives.sum()} true positives are more than {truth_count} true points")

    thresholds, group = np.unique(-scores, return_inverse=True)
    detected = np.cumsum(np.bincount(group, minlength=len(thresholds)))
    found = np.cumsum(np.bincount(group, weights=positives, minlength=len(thresholds)))
    precision = found / detected
    recall = found / truth_count if truth_count else np.full(len(found), np.nan)
    best_from_here = np.maximum.accumulate(precision[::-1])[::-1]
    area = float(np.sum(np.diff(recall, prepend=0.0) * best_from_here)) if truth_count else float("nan")
    return AveragePrecision(thresholds=-thresholds, precision=precision, recall=recall, ap=area)


def localization_error(detected: ArrayLike, truth: ArrayLike, matches: ArrayLike) -> float:
    """Mean distance in pixels of the detections from the true points that they were matched to.

    This is the localisation error of SuperPoint (arXiv 1712.07629, appendix), with one-to-one matches instead of the
    nearest point of each detection. It never exceeds the tolerance of the matches: state that with the number.

    Args:
        detected: (N, 2).
        truth: (M, 2).
        matches: (N,) as from `match_one_to_one`: index into `truth`, or -1.

    Returns:
        The mean; nan without a match.
    """
    detected, truth = as_points("detected", detected), as_points("truth", truth)
    matches = np.asarray(matches, dtype=np.int64)
    if matches.shape != (len(detected),) or np.any((matches < -1) | (matches >= len(truth))):
        raise ValueError(f"matches must be {len(detected)} indices from -1 to {len(truth) - 1}, got {matches}")
    matched = matches >= 0
    return mean_or_nan(np.linalg.norm(detected[matched] - truth[matches[matched]], axis=1))


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


def match_detections(
    detections: Detections, truth: ArrayLike, tolerance: float, border: int, image_size: tuple[int, int]
) -> ImageOutcome:
    """Decides which detections of one image are right; see `score_against_truth` for the rules."""
    points, scores = np.asarray(detections[0], np.float64), np.asarray(detections[1], np.float64)
    truth = np.asarray(truth, np.float64)
    inside = is_inside(points, image_size, border)
    points, scores = points[inside], scores[inside]
    counts = is_inside(truth, image_size, border)

    matches = match_one_to_one(points, scores, truth[counts], tolerance)
    found = matches >= 0
    distances = np.full(len(points), np.nan)
    distances[found] = np.linalg.norm(points[found] - truth[counts][matches[found]], axis=1)
    counted = found.copy()
    counted[~found] = match_one_to_one(points[~found], scores[~found], truth[~counts], tolerance) < 0
    return ImageOutcome(points, scores, distances, counted, int(counts.sum()))


def summarize_outcomes(outcomes: Sequence[ImageOutcome], threshold: float | None = None) -> DetectionScores:
    """The measures over images that `match_detections` scored.

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


def score_against_truth(
    detections: Sequence[Detections],
    truths: Sequence[ArrayLike],
    tolerance: float,
    border: int,
    image_size: tuple[int, int],
    threshold: float | None = None,
) -> DetectionScores:
    """Compares the detections of some images of one size with their true points.

    Detections and true points are matched one to one by decreasing score (`measures.detection.match_one_to_one`).
    Detections whose nearest pixel lies in the border are left out, as the decoder leaves them out, for every method.
    The true points there do not count either, neither as found nor as missed: a detection that matches none but such a
    point (one to one, too) is not a false positive, it is left out as well. A true point just inside whose detection
    comes to lie in the border counts as missed.

    Args:
        detections: For each image keypoints (N, 2) and scores (N,).
        truths: For each image (M, 2).
        tolerance: Largest distance of a match in pixels, itself included.
        border: Pixels at each side of the image.
        image_size: (W, H).
        threshold: As for `summarize_outcomes`.

    Raises:
        ValueError: The lengths or shapes do not fit, or a value is not finite.
    """
    if len(detections) != len(truths):
        raise ValueError(f"detections of {len(detections)} images do not fit {len(truths)} images of true points")
    outcomes = [
        match_detections(found, truth, tolerance, border, image_size)
        for found, truth in zip(detections, truths, strict=True)
    ]
    return summarize_outcomes(outcomes, threshold)
