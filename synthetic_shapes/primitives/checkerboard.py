"""A checkerboard in perspective; every corner of its cells is a keypoint."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ..background import contrasting_grey, greys_at
from ..canvas import Canvas
from ..placement import MIN_SPACING, perspective_grid

_SEAM_INSET = 0.75


def draw_checkerboard(canvas: Canvas, rng: Generator) -> NDArray[np.float64]:
    """Draws three to eight rows and columns of cells in two greys that vary a little from cell to cell."""
    rows, columns = 3 + int(6 * rng.random()), 3 + int(6 * rng.random())
    nodes = perspective_grid(
        np.linspace(0.0, 1.0, columns + 1), np.linspace(0.0, 1.0, rows + 1), canvas.width, canvas.height, rng
    )
    # Cells too small to tell their corners apart are drawn larger, about the grid's centre.
    sides = np.concatenate(
        (np.diff(nodes, axis=0).reshape(-1, 2), np.diff(nodes, axis=1).reshape(-1, 2))
    )
    shortest = float(np.sqrt((sides**2).sum(1).min()))
    if shortest < MIN_SPACING:
        centre = nodes.reshape(-1, 2).mean(0)
        nodes = centre + (nodes - centre) * (MIN_SPACING / shortest)
    corners = nodes.reshape(-1, 2)
    dark = contrasting_grey(greys_at(canvas.background, corners), rng)
    light = contrasting_grey(np.array([dark], np.uint8), rng, 48.0)
    parity = (np.add.outer(np.arange(rows), np.arange(columns)) % 2).ravel()
    greys = np.clip(np.where(parity, dark, light) + 16.0 * (rng.random(rows * columns) - 0.5), 0, 255)
    paint_mosaic(canvas, nodes, greys)
    return corners


def paint_mosaic(canvas: Canvas, nodes: NDArray[np.float64], greys: NDArray[np.float64]) -> None:
    """Fills the cells between the nodes (R + 1, C + 1, 2) of a grid, row by row, with R * C greys.

    Two antialiased neighbours let a quarter of what lies beneath shine through their common edge, so the mosaic is
    painted first in its mean grey, a little smaller than it is.
    """
    cells = np.stack((nodes[:-1, :-1], nodes[:-1, 1:], nodes[1:, 1:], nodes[1:, :-1]), axis=2).reshape(-1, 4, 2)
    outline = np.array((nodes[0, 0], nodes[0, -1], nodes[-1, -1], nodes[-1, 0]))
    canvas.polygon(outline, float(greys.mean()), _SEAM_INSET)
    canvas.quads(cells, greys.tolist())
