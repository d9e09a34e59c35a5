"""The homography on which the matches of two images agree."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from ..core.errors import InputError

LEAST_MATCHES = 4
"""A homography has eight unknowns, a match gives two equations."""

_ITERATIONS, _CONFIDENCE = 10_000, 0.9999


@dataclasses.dataclass(frozen=True, eq=False)
class HomographyEstimate:
    """A homography and the matches that agree with it.

    Args:
        H_0to1: float64 (3, 3), maps (x, y, 1) of image 0 to image 1; the third coordinate is positive where it is seen.
        inliers: bool (K,) of the matches that were given.
    """

    H_0to1: NDArray[np.float64]
    inliers: NDArray[np.bool_]


def estimate_homography(
    keypoints0: ArrayLike | Tensor, keypoints1: ArrayLike | Tensor, threshold: float = 3.0
) -> HomographyEstimate | None:
    """Find the homography on which most matches agree, by MAGSAC++ as in OpenCV's USAC.

    At most 10,000 samples are drawn, fewer once a better one is unlikely (confidence 0.9999), by a generator of the
    estimate's own with a fixed seed: the same points give the same result.

    Args:
        keypoints0: (K, 2) of the matches in image 0, `features0.keypoints[matches.matches01[:, 0]]`.
        keypoints1: (K, 2) in image 1, in the same order.
        threshold: Largest distance in image 1, in pixels, of an inlier.

    Returns:
        None where there are fewer than four matches or they fix no homography, as on a line. A mirrored view, which no
        camera sees, is not looked for.

    Raises:
        ValueError: The shapes do not fit, a value is not finite, or the threshold is not positive.

    Examples:
        >>> keypoints0 = np.array([[0, 0], [100, 0], [100, 80], [0, 80], [50, 40]], float)
        >>> keypoints1 = keypoints0 + (5, -3)
        >>> keypoints1[4] = (90, 90)  # one match is wrong
        >>> estimate = estimate_homography(keypoints0, keypoints1)
        >>> estimate.inliers.tolist()
        [True, True, True, True, False]
        >>> (estimate.H_0to1 @ np.array([10.0, 10.0, 1.0])).round(6).tolist()
        [15.0, 7.0, 1.0]
    """
    points0, points1 = (_as_points(points) for points in (keypoints0, keypoints1))
    if points0.shape != points1.shape:
        raise InputError(f"{len(points0)} and {len(points1)} keypoints are no matches")
    if not 0 < threshold < float("inf"):
        raise InputError(f"threshold must be positive and finite, got {threshold}")
    if len(points0) < LEAST_MATCHES:
        return None
    found, mask = cv2.findHomography(
        points0, points1, cv2.USAC_MAGSAC, threshold, maxIters=_ITERATIONS, confidence=_CONFIDENCE
    )
    if found is None or not np.isfinite(found).all() or np.linalg.matrix_rank(found) < 3:
        return None
    H, inliers = np.asarray(found, np.float64), np.asarray(mask).ravel().astype(np.bool_)
    if inliers.sum() < LEAST_MATCHES:
        return None
    in_front = np.median(points0[inliers] @ H[2, :2] + H[2, 2]) > 0
    return HomographyEstimate(H if in_front else -H, inliers)


def _as_points(points: ArrayLike | Tensor) -> NDArray[np.float64]:
    array = np.asarray(points.detach().cpu() if isinstance(points, Tensor) else points, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] != 2:
        raise ValueError(f"keypoints must have shape (K, 2), got {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"keypoints must be finite, got {array[~np.isfinite(array).all(axis=1)][0]}")
    return array
