"""Arrays of points, checked and compared: what the measures share.

Points are (N, 2), (x, y) in pixels, the centre of the top-left pixel at (0, 0); all arithmetic is float64.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def as_points(name: str, points: ArrayLike) -> Floats:
    array = np.asarray(points, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] != 2:
        raise ValueError(f"{name} must have shape (N, 2), got {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, got {array[~np.isfinite(array).all(axis=1)][0]}")
    return array


def as_values(name: str, values: ArrayLike) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"{name} must have shape (N,), got {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, got {array[~np.isfinite(array)][0]}")
    return array


def check_tolerance(tolerance: float) -> None:
    if not tolerance >= 0:
        raise ValueError(f"tolerance must be 0 or more, got {tolerance}")


def distances_between(points0: Floats, points1: Floats) -> Floats:
    """(N, M)."""
    return np.hypot(*(points0[:, None, axis] - points1[None, :, axis] for axis in (0, 1)))


def is_inside(points: NDArray[np.floating], size: tuple[int, int]) -> NDArray[np.bool_]:
    """bool (N,); nan is outside."""
    inside: NDArray[np.bool_] = np.all((points >= -0.5) & (points <= np.array(size) - 0.5), axis=1)
    return inside


def mean_or_nan(values: Floats) -> float:
    return float(values.mean()) if len(values) else float("nan")
