"""How far an estimated relative pose is from the true one."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def rotation_error(estimated: ArrayLike, truth: ArrayLike) -> float:
    """The angle, in degrees from 0 to 180, of the rotation that leads from one rotation (3, 3) to another."""
    difference = np.asarray(estimated, np.float64).T @ np.asarray(truth, np.float64)
    # The trace alone loses all digits near 0; the skew part has them there.
    sine = np.linalg.norm(difference - difference.T) / np.sqrt(8)
    return float(np.degrees(np.arctan2(sine, (np.trace(difference) - 1) / 2)))


def direction_error(estimated: ArrayLike, truth: ArrayLike) -> float:
    """The angle between two translations (3,), in degrees from 0 to 180; their lengths do not count.

    An essential matrix leaves the sign of the translation open, and many evaluations forgive it. Here it counts: the
    points that are in front of both cameras tell it.
    """
    a, b = np.asarray(estimated, np.float64), np.asarray(truth, np.float64)
    return float(np.degrees(np.arctan2(np.linalg.norm(np.cross(a, b)), a @ b)))


def pose_error(estimated: tuple[ArrayLike, ArrayLike] | None, truth: tuple[ArrayLike, ArrayLike]) -> float:
    """The larger of the errors of rotation and direction (SuperGlue, arXiv 1911.11763, section 5.2), in degrees.

    Args:
        estimated: R (3, 3) and t (3,), or None where none was found.
        truth: Likewise.

    Returns:
        From 0 to 180; infinite without an estimate.
    """
    if estimated is None:
        return float("inf")
    return max(rotation_error(estimated[0], truth[0]), direction_error(estimated[1], truth[1]))


def relative_pose(
    R0: ArrayLike, t0: ArrayLike, R1: ArrayLike, t1: ArrayLike
) -> tuple[np.ndarray[tuple[int, int], np.dtype[np.float64]], np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """R and t from the coordinates of camera 0 to those of camera 1; each camera takes p of the world to R p + t."""
    first, second = np.asarray(R0, np.float64), np.asarray(R1, np.float64)
    R = second @ first.T
    return R, np.asarray(t1, np.float64) - R @ np.asarray(t0, np.float64)
