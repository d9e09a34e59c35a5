"""The measures of a detector, as functions of points: what each one counts is written down with it.

Points are (N, 2), (x, y) in pixels, the centre of the top-left pixel at (0, 0); all arithmetic is float64. A measure
that nothing defines, such as the error of no match, is nan: leave it out of a mean and report how many were left out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from homography import warp_points

Floats = NDArray[np.float64]


def match_one_to_one(detected: ArrayLike, scores: ArrayLike, truth: ArrayLike, tolerance: float) -> NDArray[np.int64]:
    """Assign detections to true points, each to at most one of the other.

    The detections choose in order of decreasing score, and each takes the nearest true point that is still free and at
    most `tolerance` away. So the second detection of a corner is a false positive. Among equal scores the detection
    closest to any true point chooses first, then the one with the smaller x, then y, so that the order of the input
    does not matter.

    Args:
        detected: (N, 2).
        scores: (N,).
        truth: (M, 2).
        tolerance: Largest distance of a match in pixels, itself included.

    Returns:
        (N,): for each detection the index of its true point, or -1.

    Raises:
        ValueError: A shape does not fit, a value is not finite, or the tolerance is negative or nan.
    """
    detected, truth = _as_points("detected", detected), _as_points("truth", truth)
    scores = _as_values("scores", scores)
    if len(scores) != len(detected):
        raise ValueError(f"{len(scores)} scores do not fit {len(detected)} detected points")
    _check_tolerance(tolerance)
    distances = _distances(detected, truth)
    matches = np.full(len(detected), -1)
    nearest = distances.min(axis=1, initial=np.inf)
    for i in np.lexsort((detected[:, 1], detected[:, 0], nearest, -scores)):
        if nearest[i] > tolerance:
            continue
        j = distances[i].argmin()
        if distances[i, j] <= tolerance:
            matches[i] = j
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
    pairs = [(_as_values("scores", scores), np.asarray(positive)) for scores, positive in images]
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
    detected, truth = _as_points("detected", detected), _as_points("truth", truth)
    matches = np.asarray(matches, dtype=np.int64)
    if matches.shape != (len(detected),) or np.any((matches < -1) | (matches >= len(truth))):
        raise ValueError(f"matches must be {len(detected)} indices from -1 to {len(truth) - 1}, got {matches}")
    matched = matches >= 0
    return _mean(np.linalg.norm(detected[matched] - truth[matches[matched]], axis=1))


@dataclasses.dataclass(frozen=True)
class Repeatability:
    """How many keypoints of two views were found in both.

    Args:
        one_to_one: Share of the points in both views that belong to a pair; nan where neither view has a point.
        many_to_one: Share of the points in both views that have any point of the other view within the tolerance
            (SuperPoint); never below `one_to_one`.
        localization_error: Mean distance of the pairs in pixels of view 1; nan without a pair.
        pair_count: Number of pairs.
        count0: Number of keypoints of view 0 that view 1 shows.
        count1: Number of keypoints of view 1 that view 0 shows.
    """

    one_to_one: float
    many_to_one: float
    localization_error: float
    pair_count: int
    count0: int
    count1: int


def repeatability(
    keypoints0: ArrayLike,
    keypoints1: ArrayLike,
    H_0to1: ArrayLike,
    size0: tuple[int, int],
    size1: tuple[int, int],
    tolerance: float,
) -> Repeatability:
    """Compare the keypoints of two views of a plane.

    Only points that the other view shows count: those whose place in it lies within its image, from -0.5 to W - 0.5
    and to H - 0.5. All distances are taken in view 1, so exchanging the views changes the result where the scale
    differs. With N0 and N1 points left:

    - One to one: a pair is two points that are each other's nearest and at most `tolerance` apart. With K pairs the
      repeatability is 2 K / (N0 + N1).
    - Many to one (SuperPoint, arXiv 1712.07629, appendix): a point counts where any point of the other view is at most
      `tolerance` away, and the repeatability is the count in both views over N0 + N1. One point can serve many others,
      which rewards clusters.

    Args:
        keypoints0: (N, 2) in view 0.
        keypoints1: (M, 2) in view 1.
        H_0to1: (3, 3), maps (x, y, 1) of view 0 to view 1.
        size0: (W, H) of view 0.
        size1: (W, H) of view 1.
        tolerance: Pixels of view 1, itself included.

    Raises:
        ValueError: A shape does not fit, a value is not finite, or the tolerance is negative or nan.
    """
    keypoints0, keypoints1 = _as_points("keypoints0", keypoints0), _as_points("keypoints1", keypoints1)
    H = np.asarray(H_0to1, dtype=np.float64)
    _check_tolerance(tolerance)
    warped0 = np.asarray(warp_points(keypoints0, H), dtype=np.float64)
    warped0 = warped0[_is_inside(warped0, size1)]
    kept1 = keypoints1[_is_inside(warp_points(keypoints1, np.linalg.inv(H)), size0)]
    count = len(warped0) + len(kept1)

    distances = _distances(warped0, kept1)
    nearest0 = distances.min(axis=1, initial=np.inf)
    nearest1 = distances.min(axis=0, initial=np.inf)
    pairs = np.zeros(0)
    if distances.size:
        partner = distances.argmin(axis=1)
        mutual = distances.argmin(axis=0)[partner] == np.arange(len(warped0))
        pairs = nearest0[mutual & (nearest0 <= tolerance)]
    repeated = np.count_nonzero(nearest0 <= tolerance) + np.count_nonzero(nearest1 <= tolerance)
    return Repeatability(
        one_to_one=2 * len(pairs) / count if count else float("nan"),
        many_to_one=repeated / count if count else float("nan"),
        localization_error=_mean(pairs),
        pair_count=len(pairs),
        count0=len(warped0),
        count1=len(kept1),
    )


def bootstrap_interval(
    values: ArrayLike, generator: np.random.Generator, level: float = 0.95, count: int = 1000
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean (Efron and Tibshirani, An Introduction to the Bootstrap, chapter 13).

    The values are drawn again with replacement `count` times, and the interval holds the middle share `level` of the
    means. It covers the variation from one value (an image, a pair) to the next, not that of the training.

    Args:
        values: (N,), finite; leave out undefined ones.
        generator: Source of the draws.
        level: Share of the means inside, in (0, 1).
        count: Number of draws.

    Returns:
        The lower and the upper end; both nan without a value.

    Raises:
        ValueError: A value is not finite, or `level` or `count` is out of range.
    """
    # scipy.stats.bootstrap does the same, but it refuses a single value and its name for the generator has changed.
    values = _as_values("values", values)
    if not 0 < level < 1 or count < 1:
        raise ValueError(f"level must be in (0, 1) and count at least 1, got {level} and {count}")
    if len(values) == 0:
        return float("nan"), float("nan")
    means = values[generator.integers(0, len(values), (count, len(values)))].mean(axis=1)
    lower, upper = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(lower), float(upper)


def _as_points(name: str, points: ArrayLike) -> Floats:
    array = np.asarray(points, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] != 2:
        raise ValueError(f"{name} must have shape (N, 2), got {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, got {array[~np.isfinite(array).all(axis=1)][0]}")
    return array


def _as_values(name: str, values: ArrayLike) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"{name} must have shape (N,), got {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, got {array[~np.isfinite(array)][0]}")
    return array


def _check_tolerance(tolerance: float) -> None:
    if not tolerance >= 0:
        raise ValueError(f"tolerance must be 0 or more, got {tolerance}")


def _distances(points0: Floats, points1: Floats) -> Floats:
    """(N, M)."""
    return np.hypot(*(points0[:, None, axis] - points1[None, :, axis] for axis in (0, 1)))


def _is_inside(points: NDArray[np.floating], size: tuple[int, int]) -> NDArray[np.bool_]:
    """bool (N,); nan is outside."""
    inside: NDArray[np.bool_] = np.all((points >= -0.5) & (points <= np.array(size) - 0.5), axis=1)
    return inside


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else float("nan")
