"""Which of the corners that were drawn can be seen."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

MIN_EIGENVALUE = 4.0
"""Squared grey levels per pixel: a right-angled corner of 9 levels contrast, in the window that is used, has 4."""

_REACH = 3
_ROWS, _COLUMNS = (offsets.ravel() for offsets in np.mgrid[-_REACH : _REACH + 1, -_REACH : _REACH + 1])


def visible_corners(image: NDArray[np.uint8], corners: NDArray[np.float64]) -> NDArray[np.float32]:
    """Those (M, 2) of (N, 2) corners that lie inside a clean (H, W) render and show there.

    A corner shows where the grey changes in both directions around it: the smaller eigenvalue of the structure tensor
    (Shi and Tomasi, CVPR 1994), averaged over the 5x5 pixels around the corner, reaches `MIN_EIGENVALUE`. A corner
    that another shape covers, or that differs from its surroundings on one side at most, does not reach it. Near the
    border the 5x5 pixels are the nearest ones of which all neighbours are inside.
    """
    height, width = image.shape
    right, bottom = width - 1, height - 1
    inside, centres = [], []
    for x, y in corners.tolist():
        if 0.0 <= x <= right and 0.0 <= y <= bottom:
            inside.append((x, y))
            column, row = int(x + 0.5), int(y + 0.5)
            column = _REACH if column < _REACH else min(column, right - _REACH)
            row = _REACH if row < _REACH else min(row, bottom - _REACH)
            centres.append(row * width + column)
    if not inside:
        return np.empty((0, 2), np.float32)
    patches = image.ravel().take(np.array(centres)[:, None] + _window(width)).astype(np.float32)
    gradients = (patches @ _GRADIENTS).reshape(-1, 2, 25)
    tensors = (gradients @ gradients.swapaxes(1, 2)).reshape(-1, 4).tolist()
    # Both eigenvalues of ((a, b), (b, c)) reach t where both of ((a - t, b), (b, c - t)) reach 0.
    t = 25.0 * MIN_EIGENVALUE
    shown = [
        corner for corner, (a, b, _, c) in zip(inside, tensors, strict=True) if a >= t and (a - t) * (c - t) >= b * b
    ]
    return np.array(shown, np.float32).reshape(-1, 2)


@lru_cache(maxsize=16)
def _window(width: int) -> NDArray[np.intp]:
    """Where, from a pixel of a flattened image of this width, the 7x7 pixels about it lie."""
    return np.asarray(_ROWS * width + _COLUMNS, np.intp)


def _gradient_matrix() -> NDArray[np.float32]:
    """The (49, 50) matrix from a 7x7 patch to the central differences in x, then in y, of its inner 5x5 pixels."""
    patches = np.eye(49, dtype=np.float32).reshape(49, 7, 7)
    dx = 0.5 * (patches[:, 1:-1, 2:] - patches[:, 1:-1, :-2])
    dy = 0.5 * (patches[:, 2:, 1:-1] - patches[:, :-2, 1:-1])
    return np.concatenate((dx.reshape(49, 25), dy.reshape(49, 25)), axis=1)


_GRADIENTS = _gradient_matrix()
