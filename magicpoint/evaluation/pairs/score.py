"""What is measured on an image pair, and its summary over pairs; the single measures are in `measures.matches`."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...core.types import Features, Matches
from ...matching.homography import estimate_homography
from ...matching.nearest import Matching, match_features
from ...measures.matches import (
    area_under_recall,
    corner_error,
    match_errors,
    matching_accuracy,
    matching_recall,
    matching_score,
    nearest_neighbour_ap,
)
from ...measures.repeatability import repeatability
from ...measures.statistics import bootstrap_interval, bootstrap_over_groups, rounded
from .results import Bootstrap, Mean, PairResult, PairsMethodResult, Split

TOLERANCE = 3.0
"""Pixels of view 1, for repeatability, matching score and NN mAP: the paper's epsilon."""

MATCHING_THRESHOLDS = tuple(range(1, 11))
HOMOGRAPHY_THRESHOLDS = (1, 3, 5)
INLIER_THRESHOLD = 3.0
"""Pixels of view 1, for the estimated homography."""

SPLITS: tuple[Split, ...] = ("illumination", "viewpoint", "all")

BOOTSTRAP = Bootstrap(level=0.95, count=1000, seed=0)


def measure_pair(
    features0: Features,
    features1: Features,
    H_0to1: NDArray[np.float64],
    matching: bool,
    matched_by: Matching | None = None,
) -> dict[str, float]:
    """All measures of one pair.

    Args:
        features0: Of view 0.
        features1: Of view 1.
        H_0to1: float64 (3, 3) between the images in which the keypoints lie.
        matching: Whether they have descriptors to compare.
        matched_by: How; None: mutual nearest neighbours.

    Returns:
        `keypoints` (mean of both views), `repeatability` (one to one), `repeatability_many_to_one` and
        `localization_error` of `measures.repeatability`; if matching, `matches` and `inliers` (their numbers),
        `matching_score`, `nn_map`, `matching_accuracy_T` at 1 to 10 px, `corner_error`, and at 1, 3 and 5 px
        `homography_accuracy_T` (1 where the corner error is at most T, else 0) and `homography_auc_T`. Where it is said
        how they are matched, also `matching_recall` and `milliseconds`, the time that the matching took.
    """
    image_sizes = features0.image_size, features1.image_size
    repeated = repeatability(features0.keypoints, features1.keypoints, H_0to1, *image_sizes, TOLERANCE)
    measures = {
        "keypoints": (len(features0) + len(features1)) / 2,
        "repeatability": repeated.one_to_one,
        "repeatability_many_to_one": repeated.many_to_one,
        "localization_error": repeated.localization_error,
    }
    if not matching:
        return measures
    begin = time.perf_counter()
    matches = match_features(features0, features1, matched_by)
    milliseconds = 1000 * (time.perf_counter() - begin)
    accuracy = matching_accuracy(match_errors(features0, features1, matches, H_0to1), MATCHING_THRESHOLDS)
    index0, index1 = matches.matches01.T
    estimate = estimate_homography(features0.keypoints[index0], features1.keypoints[index1], INLIER_THRESHOLD)
    error = corner_error(None if estimate is None else estimate.H_0to1, H_0to1, features0.image_size)
    return {
        **measures,
        "matches": len(matches),
        "inliers": 0 if estimate is None else int(estimate.inliers.sum()),
        "matching_score": matching_score(features0, features1, matches, H_0to1, TOLERANCE),
        "nn_map": nearest_neighbour_ap(features0, features1, H_0to1, TOLERANCE),
        **{f"matching_accuracy_{t}": float(share) for t, share in zip(MATCHING_THRESHOLDS, accuracy, strict=True)},
        "corner_error": error,
        **{f"homography_accuracy_{t}": float(error <= t) for t in HOMOGRAPHY_THRESHOLDS},
        **{f"homography_auc_{t}": float(area_under_recall([error], t)[0]) for t in HOMOGRAPHY_THRESHOLDS},
        **({} if matched_by is None else _of_matcher(features0, features1, matches, H_0to1, milliseconds)),
    }


def _of_matcher(
    features0: Features, features1: Features, matches: Matches, H_0to1: NDArray[np.float64], milliseconds: float
) -> dict[str, float]:
    recall = matching_recall(features0, features1, matches, H_0to1, TOLERANCE)
    return {"matching_recall": recall, "milliseconds": milliseconds}


def result_of(pairs: Sequence[PairResult]) -> PairsMethodResult:
    """What a method came to on these pairs."""
    return PairsMethodResult({split: summarize_pairs(pairs, split) for split in SPLITS}, tuple(pairs))


def summarize_pairs(pairs: Sequence[PairResult], split: Split) -> dict[str, Mean]:
    """Each measure over the pairs of a split where it is defined, by its name.

    The corner error is left out: its mean says nothing where an estimate is missing.
    """
    chosen = [pair for pair in pairs if split in ("all", pair.change)]
    names = [name for name in (pairs[0].measures if pairs else {}) if name != "corner_error"]
    return {name: _mean(chosen, name) for name in names}


def _mean(pairs: Sequence[PairResult], name: str) -> Mean:
    defined = [(pair.measures[name], pair.sequence) for pair in pairs if np.isfinite(pair.measures[name])]
    values, groups = [value for value, _ in defined], [group for _, group in defined]
    # The same draws for every method, so that intervals differ by the methods alone.
    draws = [np.random.default_rng(BOOTSTRAP.seed) for _ in range(2)]
    over_pairs = bootstrap_interval(values, draws[0], BOOTSTRAP.level, BOOTSTRAP.count)
    over_groups = bootstrap_over_groups(values, groups, draws[1], BOOTSTRAP.level, BOOTSTRAP.count)
    return Mean(
        mean=rounded(float(np.mean(values)) if values else float("nan")),
        interval=(rounded(over_pairs[0]), rounded(over_pairs[1])),
        interval_sequences=(rounded(over_groups[0]), rounded(over_groups[1])),
        count=len(values),
        undefined=len(pairs) - len(values),
    )
