"""What ties two images together, by the matches between them: one call for each model and solver."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from ..core.errors import InputError
from ..core.geometry import GeometryModel, TwoViewGeometry
from . import poselib
from .fundamental import estimate_fundamental
from .homography import estimate_homography
from .points import as_matched
from .pose import essential_of, estimate_pose
from .settings import GeometrySettings, Solver

Floats = NDArray[np.float64]
Estimate = Callable[[Floats, Floats, float], TwoViewGeometry | None]
EstimateWithCameras = Callable[[Floats, Floats, Floats, Floats, float], TwoViewGeometry | None]


def _homography(points0: Floats, points1: Floats, threshold: float) -> TwoViewGeometry | None:
    found = estimate_homography(points0, points1, threshold)
    return None if found is None else TwoViewGeometry("homography", found.H_0to1, found.inliers)


def _essential(points0: Floats, points1: Floats, K0: Floats, K1: Floats, threshold: float) -> TwoViewGeometry | None:
    found = estimate_pose(points0, points1, K0, K1, threshold)
    return None if found is None else essential_of(found.R, found.t, found.inliers)


ESTIMATES: dict[tuple[GeometryModel, Solver], Estimate] = {
    ("homography", "opencv"): _homography,
    ("fundamental", "opencv"): estimate_fundamental,
    ("homography", "poselib"): poselib.homography,
    ("fundamental", "poselib"): poselib.fundamental,
}
ESSENTIAL: dict[Solver, EstimateWithCameras] = {"opencv": _essential, "poselib": poselib.essential}


def estimate_geometry(
    keypoints0: ArrayLike | Tensor,
    keypoints1: ArrayLike | Tensor,
    settings: GeometrySettings | None = None,
    K0: ArrayLike | None = None,
    K1: ArrayLike | None = None,
) -> TwoViewGeometry | None:
    """Find what most matches agree on. The same matches give the same result.

    Args:
        keypoints0: (K, 2) of the matches in image 0.
        keypoints1: (K, 2) in image 1, in the same order.
        settings: None stands for `GeometrySettings()`, a homography.
        K0: (3, 3), the intrinsic matrix of image 0, in pixels whose centres are at whole numbers; an essential matrix
            needs it, nothing else takes it.
        K1: Of image 1.

    Returns:
        None where too few matches agree to tell.

    Raises:
        MissingPackageError: PoseLib is not installed; the message says how to get it.
        InputError: The shapes do not fit, a value is not finite, or intrinsics are missing or too many.

    Examples:
        >>> keypoints0 = np.array([[0, 0], [100, 0], [100, 80], [0, 80], [50, 40]], float)
        >>> geometry = estimate_geometry(keypoints0, keypoints0 + (5, -3))
        >>> geometry.model, geometry.inliers.all()
        ('homography', np.True_)
    """
    settings = settings or GeometrySettings()
    points0, points1 = as_matched(keypoints0, keypoints1, settings.pixels)
    if settings.model != "essential":
        if K0 is not None or K1 is not None:
            raise InputError(f"intrinsics are for an essential matrix, and this is a {settings.model} one")
        return ESTIMATES[settings.model, settings.solver](points0, points1, settings.pixels)
    if K0 is None or K1 is None:
        raise InputError("an essential matrix needs the intrinsics of both images")
    cameras = np.asarray(K0, np.float64), np.asarray(K1, np.float64)
    return ESSENTIAL[settings.solver](points0, points1, *cameras, settings.pixels)
