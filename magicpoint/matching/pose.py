"""The relative pose of two cameras on which the matches of their images agree."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

LEAST_MATCHES = 5
"""An essential matrix has five unknowns, a match gives one equation."""

_CONFIDENCE, _ITERATIONS = 0.9999, 10_000


@dataclasses.dataclass(frozen=True, eq=False)
class PoseEstimate:
    """How the second camera stands to the first, and the matches that agree with it.

    Args:
        R: float64 (3, 3): a point p of the first camera's coordinates is at R p + s t in the second's, for some s > 0
            that no image tells.
        t: float64 (3,) of length 1.
        inliers: bool (K,) of the matches that were given.
    """

    R: NDArray[np.float64]
    t: NDArray[np.float64]
    inliers: NDArray[np.bool_]


def estimate_pose(
    keypoints0: ArrayLike, keypoints1: ArrayLike, K0: ArrayLike, K1: ArrayLike, threshold: float = 1.0
) -> PoseEstimate | None:
    """Find the relative pose on which most matches agree: the essential matrix by MAGSAC++ as in OpenCV's USAC.

    Args:
        keypoints0: (K, 2) of the matches in image 0.
        keypoints1: (K, 2) in image 1, in the same order.
        K0: (3, 3), the intrinsic matrix of image 0, in pixels whose centres are at whole numbers.
        K1: Of image 1.
        threshold: Largest distance from the epipolar line, in pixels, of an inlier.

    Returns:
        None where there are fewer than five matches, or they fix no pose.

    Raises:
        ValueError: The shapes do not fit, a value is not finite, or the threshold is not positive.
    """
    intrinsics = [np.asarray(K, np.float64) for K in (K0, K1)]
    rays = [_normalised(points, K) for points, K in zip((keypoints0, keypoints1), intrinsics, strict=True)]
    if rays[0].shape != rays[1].shape:
        raise ValueError(f"{len(rays[0])} and {len(rays[1])} keypoints are no matches")
    if not 0 < threshold < float("inf"):
        raise ValueError(f"threshold must be positive and finite, got {threshold}")
    if len(rays[0]) < LEAST_MATCHES:
        return None
    focal = float(np.mean([K[axis, axis] for K in intrinsics for axis in (0, 1)]))
    found, mask = cv2.findEssentialMat(
        rays[0],
        rays[1],
        np.eye(3),
        method=cv2.USAC_MAGSAC,
        prob=_CONFIDENCE,
        threshold=threshold / focal,
        maxIters=_ITERATIONS,
    )
    if found is None or found.shape != (3, 3) or not np.isfinite(found).all():
        return None
    inliers = np.asarray(mask).ravel().astype(np.bool_)
    if inliers.sum() < LEAST_MATCHES:
        return None
    _, R, t, _ = cv2.recoverPose(found, rays[0][inliers], rays[1][inliers], np.eye(3))
    return PoseEstimate(np.asarray(R, np.float64), np.asarray(t, np.float64).ravel(), inliers)


def _normalised(points: ArrayLike, K: NDArray[np.float64]) -> NDArray[np.float64]:
    """Places (K, 2) on the plane at depth 1."""
    array = np.asarray(points, np.float64)
    if array.ndim != 2 or array.shape[1] != 2 or K.shape != (3, 3):
        raise ValueError(f"keypoints must have shape (K, 2) and intrinsics (3, 3), got {array.shape} and {K.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"keypoints must be finite, got {array[~np.isfinite(array).all(axis=1)][0]}")
    rays: NDArray[np.float64] = (np.column_stack((array, np.ones(len(array)))) @ np.linalg.inv(K).T)[:, :2]
    return np.ascontiguousarray(rays)
