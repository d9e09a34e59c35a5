"""The same estimates by PoseLib's LO-RANSAC, an extra."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..core.extras import require
from ..core.geometry import TwoViewGeometry
from .fundamental import LEAST_MATCHES as LEAST_OF_FUNDAMENTAL
from .fundamental import agreeing_with
from .homography import LEAST_MATCHES as LEAST_OF_HOMOGRAPHY
from .homography import agreeing
from .pose import LEAST_MATCHES as LEAST_OF_POSE
from .pose import essential_of, mean_focal_length, rays

Floats = NDArray[np.float64]

_OPTIONS = {"max_iterations": 10_000, "success_prob": 0.9999, "seed": 0}


def homography(points0: Floats, points1: Floats, threshold: float) -> TwoViewGeometry | None:
    """The homography; see `homography.estimate_homography` for what agrees with it."""
    if len(points0) < LEAST_OF_HOMOGRAPHY:
        return None
    options = {**_OPTIONS, "max_reproj_error": threshold}
    H, said = require("poselib", "pose").estimate_homography(points0, points1, options, {})
    inside = np.array(said["inliers"], np.bool_)
    if inside.sum() < LEAST_OF_HOMOGRAPHY or np.linalg.matrix_rank(H) < 3:
        return None
    # As OpenCV gives it: positive where it is seen, and the last entry 1 or -1.
    H = H if np.median(points0[inside] @ H[2, :2] + H[2, 2]) > 0 else -H
    H = H / (abs(H[2, 2]) or 1.0)
    inliers = agreeing(H, points0, points1, threshold)
    return TwoViewGeometry("homography", H, inliers) if inliers.sum() >= LEAST_OF_HOMOGRAPHY else None


def fundamental(points0: Floats, points1: Floats, threshold: float) -> TwoViewGeometry | None:
    """The fundamental matrix; see `fundamental.estimate_fundamental`."""
    if len(points0) < LEAST_OF_FUNDAMENTAL:
        return None
    options = {**_OPTIONS, "max_epipolar_error": threshold}
    F, said = require("poselib", "pose").estimate_fundamental(points0, points1, options, {})
    return agreeing_with(F, points0, points1, threshold) if said["num_inliers"] >= LEAST_OF_FUNDAMENTAL else None


def essential(points0: Floats, points1: Floats, K0: Floats, K1: Floats, threshold: float) -> TwoViewGeometry | None:
    """The essential matrix and the pose; see `pose.estimate_pose`."""
    rays0, rays1 = rays(points0, K0), rays(points1, K1)
    if len(rays0) < LEAST_OF_POSE:
        return None
    # PoseLib measures in pixels of its cameras: these have the mean focal length and no other property.
    focal = mean_focal_length(K0, K1)
    camera = {"model": "SIMPLE_PINHOLE", "width": 1, "height": 1, "params": [focal, 0.0, 0.0]}
    options = {**_OPTIONS, "max_epipolar_error": threshold}
    solver = require("poselib", "pose")
    pose, said = solver.estimate_relative_pose(rays0 * focal, rays1 * focal, camera, camera, options, {})
    if said["num_inliers"] < LEAST_OF_POSE:
        return None
    return essential_of(np.asarray(pose.R), pose.t / np.linalg.norm(pose.t), np.array(said["inliers"], np.bool_))
