"""The measures of matches and homographies between two views of a plane, as functions of points.

The truth is always the known homography, never what an estimator kept. All distances are in pixels of view 1 and taken
between a keypoint of view 1 and the place to which the homography takes one of view 0, as in `measures.repeatability`.
A keypoint is shown by the other view where its place in it lies within the image, from -0.5 to W - 0.5 and to H - 0.5.
A measure that nothing defines is nan.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from homography import warp_points

from ..core.types import Features, Matches
from ..matching.nearest import match_features
from ..matching.settings import MatchSettings
from .detection import average_precision
from .points import Floats, is_inside


def match_errors(features0: Features, features1: Features, matches: Matches, H_0to1: ArrayLike) -> Floats:
    """(K,) distance of each match, in pixels of view 1; infinite where view 1 cannot see the keypoint of view 0."""
    index0, index1 = matches.matches01.cpu().numpy().T
    warped0 = np.asarray(warp_points(_keypoints(features0), np.asarray(H_0to1, np.float64)))[index0]
    offset = warped0 - _keypoints(features1)[index1]
    return np.asarray(np.nan_to_num(np.hypot(offset[:, 0], offset[:, 1]), nan=np.inf), np.float64)


def matching_accuracy(errors: ArrayLike, thresholds: Sequence[float]) -> Floats:
    """The share of the matches that are right within each threshold.

    Its mean over the pairs is the mean matching accuracy of D2-Net (arXiv 1905.03561, section 5.1), where too a pair
    without a match counts as 0.

    Args:
        errors: (K,) from `match_errors`, of all matches, also of keypoints that the other view does not show.
        thresholds: (T,) pixels, themselves included.

    Returns:
        (T,) in [0, 1].
    """
    array = np.asarray(errors, np.float64)
    right = array[:, None] <= np.asarray(thresholds, np.float64)
    return np.asarray(right.sum(axis=0) / max(len(array), 1), np.float64)


def matching_score(
    features0: Features, features1: Features, matches: Matches, H_0to1: ArrayLike, tolerance: float
) -> float:
    """The share of the keypoints in the shared region that are matched rightly (SuperPoint, section 7 and appendix).

    A match is right where it is within the tolerance and either view shows the keypoint of the other. Their number is
    divided by that of the keypoints of view 0 that view 1 shows and by that of view 1 that view 0 shows, and the two
    ratios are averaged.

    Args:
        features0: Of view 0.
        features1: Of view 1.
        matches: One to one, as mutual nearest neighbours are.
        H_0to1: (3, 3).
        tolerance: Pixels of view 1, itself included.

    Returns:
        In [0, 1]; a view with none of these keypoints is left out; nan where both are.

    Raises:
        ValueError: A keypoint is in two matches: a cluster would count its one counterpart many times.
    """
    index0, index1 = matches.matches01.cpu().numpy().T
    if len(np.unique(index0)) < len(index0) or len(np.unique(index1)) < len(index1):
        raise ValueError("matches must be one to one, got a keypoint in two of them")
    shown0, shown1 = _shown(features0, features1, H_0to1)
    right = match_errors(features0, features1, matches, H_0to1) <= tolerance
    count = int(np.count_nonzero(right & shown0[index0] & shown1[index1]))
    shares = [count / int(shown.sum()) for shown in (shown0, shown1) if shown.any()]
    return float(np.mean(shares)) if shares else float("nan")


def matching_recall(
    features0: Features, features1: Features, matches: Matches, H_0to1: ArrayLike, tolerance: float
) -> float:
    """The share of the matches to be found that are found.

    To be found is the largest one-to-one assignment of keypoints within the tolerance which either view shows.

    Args:
        features0: Of view 0.
        features1: Of view 1.
        matches: One to one.
        H_0to1: (3, 3).
        tolerance: Pixels of view 1, itself included.

    Returns:
        In [0, 1]; nan where there is nothing to be found.
    """
    shown0, shown1 = _shown(features0, features1, H_0to1)
    near = _near(features0, features1, H_0to1, tolerance) & shown0[:, None] & shown1
    graph = csr_array(near.astype(np.int8))
    count = int((maximum_bipartite_matching(graph, perm_type="column") >= 0).sum()) if graph.nnz else 0
    index0, index1 = matches.matches01.cpu().numpy().T
    return int(near[index0, index1].sum()) / count if count else float("nan")


def nearest_neighbour_ap(features0: Features, features1: Features, H_0to1: ArrayLike, tolerance: float) -> float:
    """Average precision of nearest-neighbour matching; its mean over pairs is the NN mAP (SuperPoint, appendix).

    Each keypoint that the other view shows claims its nearest keypoint there by descriptor, with the cosine as the
    confidence. The claim is right where the two are within the tolerance; of several right claims on one keypoint the
    most confident counts, the others are wrong. The number of pairs to be found is that of the largest one-to-one
    assignment within the tolerance, so the recall can reach 1 and not more. Both directions are averaged. The area is
    that of `measures.detection.average_precision`.

    Returns:
        In [0, 1]; a direction with no pair to be found is left out; nan where both are.
    """
    near = _near(features0, features1, H_0to1, tolerance)
    shown0, shown1 = _shown(features0, features1, H_0to1)
    areas = [
        _claims_ap(features0, features1, near, shown0),
        _claims_ap(features1, features0, near.T, shown1),
    ]
    defined = [area for area in areas if not np.isnan(area)]
    return float(np.mean(defined)) if defined else float("nan")


def _claims_ap(source: Features, target: Features, near: NDArray[np.bool_], shown: NDArray[np.bool_]) -> float:
    """One direction: `near` (N, M) says which pairs are right, `shown` (N,) which keypoints of the source claim."""
    graph = csr_array(near[shown].astype(np.int8))
    truth_count = int((maximum_bipartite_matching(graph, perm_type="column") >= 0).sum()) if graph.nnz else 0
    if truth_count == 0:
        return float("nan")
    nearest = match_features(source, target, MatchSettings(mutual=False))
    claimant, claimed = nearest.matches01.cpu().numpy().T
    kept = shown[claimant]
    claimant, claimed, scores = claimant[kept], claimed[kept], nearest.scores.cpu().numpy()[kept]
    right = near[claimant, claimed]
    order = np.flatnonzero(right)[np.argsort(-scores[right], kind="stable")]
    first = order[np.unique(claimed[order], return_index=True)[1]]
    positive = np.zeros(len(claimant), np.bool_)
    positive[first] = True
    return average_precision([(scores, positive)], truth_count).ap


def corner_error(estimated: ArrayLike | None, H_0to1: ArrayLike, image_size: tuple[int, int]) -> float:
    """The mean distance between the corners of image 0 under two homographies (SuperPoint, section 7.3).

    Args:
        estimated: (3, 3), or None where none was found.
        H_0to1: (3, 3), the truth.
        image_size: (W, H) of image 0; its corners are the centres of its corner pixels.

    Returns:
        Pixels of image 1; infinite without an estimate, or where it puts a corner on or behind the horizon.

    Examples:
        >>> shift = np.array([[1, 0, 3], [0, 1, 4], [0, 0, 1]])
        >>> corner_error(shift, np.eye(3), (640, 480))
        5.0
    """
    if estimated is None:
        return float("inf")
    right, bottom = image_size[0] - 1.0, image_size[1] - 1.0
    corners = np.array([[0.0, 0.0], [right, 0.0], [right, bottom], [0.0, bottom]])
    placed, truth = (np.asarray(warp_points(corners, np.asarray(H, np.float64))) for H in (estimated, H_0to1))
    return float(np.nan_to_num(np.linalg.norm(placed - truth, axis=1).mean(), nan=np.inf))


def area_under_recall(errors: ArrayLike, threshold: float) -> Floats:
    """What each pair adds to the area under the curve of the share of pairs (y) against the allowed error (x).

    The curve is a step at every error, and its area up to the threshold over the threshold is exactly the mean of
    max(0, 1 - error / threshold). The area after SuperGlue (arXiv 1911.11763) joins the steps by straight lines
    instead, which changes it a little where there are few pairs.

    Args:
        errors: (P,) one for each pair, infinite where there is no estimate.
        threshold: Pixels.

    Returns:
        (P,) in [0, 1], whose mean is the area.
    """
    return np.maximum(0.0, 1.0 - np.asarray(errors, np.float64) / threshold)


def _near(features0: Features, features1: Features, H_0to1: ArrayLike, tolerance: float) -> NDArray[np.bool_]:
    """bool (N, M): which keypoints of view 1 lie near enough to where those of view 0 belong."""
    warped0 = np.asarray(warp_points(_keypoints(features0), np.asarray(H_0to1, np.float64)))
    keypoints1 = _keypoints(features1)
    distances = np.hypot(*(warped0[:, None, axis] - keypoints1[None, :, axis] for axis in (0, 1)))
    return np.asarray(distances <= tolerance)  # False for nan


def _keypoints(features: Features) -> Floats:
    return features.keypoints.cpu().numpy().astype(np.float64)


def _shown(features0: Features, features1: Features, H_0to1: ArrayLike) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which keypoints of each view the other shows, bool (N,) and (M,)."""
    H = np.asarray(H_0to1, np.float64)
    placed0 = warp_points(_keypoints(features0), H)
    placed1 = warp_points(_keypoints(features1), np.linalg.inv(H))
    return is_inside(placed0, features1.image_size), is_inside(placed1, features0.image_size)
