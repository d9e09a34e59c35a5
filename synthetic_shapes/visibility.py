"""Which of the corners that were drawn can be seen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MIN_EIGENVALUE = 12.0
"""Squared grey levels per pixel: a right-angled corner of 16 levels contrast, in the window that is used, has 12."""

_REACH = 3
_OFFSETS = np.arange(-_REACH, _REACH + 1)


def visible(image: NDArray[np.uint8], corners: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which (N, 2) corners lie inside a clean (H, W) render and show there: bool (N,).

    A corner shows where the grey changes in both directions around it: the smaller eigenvalue of the structure tensor
    (Shi and Tomasi, CVPR 1994), averaged over the 5x5 pixels around the corner, reaches ``MIN_EIGENVALUE``. A corner
    that another shape covers, or that differs from its surroundings on one side at most, does not reach it.
    """
    height, width = image.shape
    x, y = corners[:, 0], corners[:, 1]
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    columns = np.rint(np.where(inside, x, 0)).astype(np.intp)[:, None] + _OFFSETS
    rows = np.rint(np.where(inside, y, 0)).astype(np.intp)[:, None] + _OFFSETS
    np.clip(columns, 0, width - 1, out=columns)
    np.clip(rows, 0, height - 1, out=rows)
    patch = image[rows[:, :, None], columns[:, None, :]].astype(np.float32)
    dx = 0.5 * (patch[:, 1:-1, 2:] - patch[:, 1:-1, :-2])
    dy = 0.5 * (patch[:, 2:, 1:-1] - patch[:, :-2, 1:-1])
    samples = dx[0].size if len(dx) else 1
    a = np.einsum("nij,nij->n", dx, dx) / samples
    b = np.einsum("nij,nij->n", dx, dy) / samples
    c = np.einsum("nij,nij->n", dy, dy) / samples
    smaller = 0.5 * (a + c - np.sqrt((a - c) ** 2 + 4.0 * b * b))
    return inside & (smaller >= MIN_EIGENVALUE)
