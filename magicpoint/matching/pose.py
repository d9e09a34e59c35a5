"""The relative pose of two cameras on which the matches of their images agree."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.errors import InputError
from ..core.geometry import TwoViewGeometry
from .points import as_matched

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
    points = as_matched(keypoints0, keypoints1, threshold)
    intrinsics = [np.asarray(K, np.float64) for K in (K0, K1)]
    rays0, rays1 = (rays(*values) for values in zip(points, intrinsics, strict=True))
    if len(rays0) < LEAST_MATCHES:
        return None
    found, mask = cv2.findEssentialMat(
        rays0,
        rays1,
        np.eye(3),
        method=cv2.USAC_MAGSAC,
        prob=_CONFIDENCE,
        threshold=threshold / mean_focal_length(*intrinsics),
        maxIters=_ITERATIONS,
    )
    if found is None or found.shape != (3, 3) or not np.isfinite(found).all():
        return None
    inliers = np.asarray(mask).ravel().astype(np.bool_)
    if inliers.sum() < LEAST_MATCHES:
        return None
    _, R, t, _ = cv2.recoverPose(found, rays0[inliers], rays1[inliers], np.eye(3))
    return PoseEstimate(np.asarray(R, np.float64), np.asarray(t, np.float64).ravel(), inliers)


def mean_focal_length(*intrinsics: NDArray[np.float64]) -> float:
    """Of cameras, in x and in y, in pixels."""
    return float(np.mean([K[axis, axis] for K in intrinsics for axis in (0, 1)]))


def essential_of(R: NDArray[np.float64], t: NDArray[np.float64], inliers: NDArray[np.bool_]) -> TwoViewGeometry:
    """The essential matrix [t]x R of a pose."""
    across = np.array([[0.0, -t[2], t[1]], [t[2], 0.0, -t[0]], [-t[1], t[0], 0.0]])
    return TwoViewGeometry("essential", across @ R, inliers, R, t)


def rays(points: NDArray[np.float64], K: NDArray[np.float64]) -> NDArray[np.float64]:
    """Places (K, 2) on the plane at depth 1."""
    if K.shape != (3, 3) or not np.isfinite(K).all() or np.linalg.matrix_rank(K) < 3:
        raise InputError(f"intrinsics must be an invertible matrix (3, 3), got {K.tolist()}")
    places = np.column_stack((points, np.ones(len(points)))) @ np.linalg.inv(K).T
    return np.ascontiguousarray(places[:, :2] / places[:, 2:])
