"""Repeatability: how many keypoints of two views of a plane were found in both."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import ArrayLike

from homography import warp_points

from .points import as_points, check_tolerance, distances_between, is_inside, mean_or_nan


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
    image_size0: tuple[int, int],
    image_size1: tuple[int, int],
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
        image_size0: (W, H) of view 0.
        image_size1: (W, H) of view 1.
        tolerance: Pixels of view 1, itself included.

    Raises:
        ValueError: A shape does not fit, a value is not finite, or the tolerance is negative or nan.

    Examples:
        >>> here = [[10, 10], [20, 10], [30, 10]]
        >>> there = [[10, 11], [20, 10]]
        >>> found = repeatability(here, there, np.eye(3), (64, 48), (64, 48), tolerance=3)
        >>> found.one_to_one, found.localization_error  # 2 pairs of 3 + 2 points; distances 1 and 0
        (0.8, 0.5)
    """
    keypoints0, keypoints1 = as_points("keypoints0", keypoints0), as_points("keypoints1", keypoints1)
    H = np.asarray(H_0to1, dtype=np.float64)
    check_tolerance(tolerance)
    warped0 = np.asarray(warp_points(keypoints0, H), dtype=np.float64)
    warped0 = warped0[is_inside(warped0, image_size1)]
    kept1 = keypoints1[is_inside(warp_points(keypoints1, np.linalg.inv(H)), image_size0)]
    return compare_places(warped0, kept1, tolerance)


def compare_places(places0: ArrayLike, places1: ArrayLike, tolerance: float) -> Repeatability:
    """The counts of `repeatability` of keypoints that both views show, whatever led the ones to the other view.

    Args:
        places0: (N, 2), where view 1 shows the keypoints of view 0.
        places1: (M, 2), the keypoints of view 1.
        tolerance: Pixels of view 1, itself included.

    Raises:
        ValueError: A shape does not fit, a value is not finite, or the tolerance is negative or nan.
    """
    warped0, kept1 = as_points("places0", places0), as_points("places1", places1)
    check_tolerance(tolerance)
    count = len(warped0) + len(kept1)

    distances = distances_between(warped0, kept1)
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
        localization_error=mean_or_nan(pairs),
        pair_count=len(pairs),
        count0=len(warped0),
        count1=len(kept1),
    )
