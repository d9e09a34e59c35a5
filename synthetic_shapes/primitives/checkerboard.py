"""A checkerboard in perspective; every corner of its cells is a keypoint."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ..canvas import Canvas
from ..greys import MIN_CONTRAST, contrasting_grey
from ..placement import as_points, perspective_grid

_SEAM_INSET = 0.75
_VARIATION = 6.0
"""Grey levels by which a cell may be darker or lighter than the others of its kind."""


def draw_checkerboard(canvas: Canvas, rng: Generator) -> NDArray[np.float64]:
    """Draws three to eight rows and columns of cells in two greys that vary a little from cell to cell."""
    rows, columns = 3 + int(6 * rng.random()), 3 + int(6 * rng.random())
    across, down = np.arange(columns + 1) / columns, np.arange(rows + 1) / rows
    nodes = perspective_grid(across, down, canvas.width, canvas.height, rng)
    contrast = MIN_CONTRAST + 2.0 * _VARIATION
    even = contrasting_grey((canvas.background_range,), rng, contrast)
    odd = contrasting_grey((canvas.background_range, (even, even)), rng, contrast)
    levels = (even + _VARIATION * (2.0 * rng.random(rows * columns) - 1.0)).tolist()
    greys = [
        min(255.0, max(0.0, level + (odd - even) * ((cell // columns + cell % columns) % 2)))
        for cell, level in enumerate(levels)
    ]
    return paint_mosaic(canvas, nodes, greys)


def paint_mosaic(canvas: Canvas, nodes: NDArray[np.complex128], greys: list[float]) -> NDArray[np.float64]:
    """Fills the cells between the nodes x + iy of a grid, (R + 1, C + 1), row by row, with R * C greys.

    Two antialiased neighbours let a quarter of what lies beneath shine through their common edge, so the mosaic is
    painted first in its mean grey, a little smaller than it is.

    Returns:
        The nodes as (N, 2) corners, (x, y).
    """
    cells = np.empty((nodes.shape[0] - 1, nodes.shape[1] - 1, 4), np.complex128)
    cells[..., 0], cells[..., 1], cells[..., 2], cells[..., 3] = (
        nodes[:-1, :-1],
        nodes[:-1, 1:],
        nodes[1:, 1:],
        nodes[1:, :-1],
    )
    outline = nodes[(0, 0, -1, -1), (0, -1, -1, 0)].tolist()
    canvas.polygon(outline, sum(greys) / len(greys), _SEAM_INSET)
    canvas.quads(cells.reshape(-1, 4), greys)
    return as_points(nodes)
