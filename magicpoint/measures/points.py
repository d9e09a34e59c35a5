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


def is_inside(points: NDArray[np.floating], image_size: tuple[int, int], border: int = 0) -> NDArray[np.bool_]:
    """Which points (N, 2) have their nearest pixel in an image of (W, H), and not in its border; bool (N,).

    Those halfway between two pixels have it, since a keypoint may be refined to half a pixel from its pixel's centre:
    without a border the image reaches from -0.5 to W - 0.5 and to H - 0.5. A nan is outside.
    """
    least, most = border - 0.5, np.array(image_size) - border - 0.5
    inside: NDArray[np.bool_] = np.all((points >= least) & (points <= most), axis=1)
    return inside


def mean_or_nan(values: Floats) -> float:
    return float(values.mean()) if len(values) else float("nan")
