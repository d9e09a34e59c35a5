"""The places of matches, as an estimate takes them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from ..core.errors import InputError

SPREAD = 1 / 3
"""Of matches around their true places, as a share of the threshold: this lies at three standard deviations."""


def as_matched(
    keypoints0: ArrayLike | Tensor, keypoints1: ArrayLike | Tensor, threshold: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The places of matches as float64 (K, 2).

    Raises:
        InputError: The shapes do not fit, a value is not finite, or the threshold is not positive and finite.
    """
    points0, points1 = (_as_points(points) for points in (keypoints0, keypoints1))
    if points0.shape != points1.shape:
        raise InputError(f"{len(points0)} and {len(points1)} keypoints are no matches")
    if not 0 < threshold < float("inf"):
        raise InputError(f"threshold must be positive and finite, got {threshold}")
    return points0, points1


def _as_points(points: ArrayLike | Tensor) -> NDArray[np.float64]:
    array = np.asarray(points.detach().cpu() if isinstance(points, Tensor) else points, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] != 2:
        raise InputError(f"keypoints must have shape (K, 2), got {array.shape}")
    if not np.isfinite(array).all():
        raise InputError(f"keypoints must be finite, got {array[~np.isfinite(array).all(axis=1)][0]}")
    return array
