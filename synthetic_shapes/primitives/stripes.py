"""Parallel stripes in perspective; both ends of every border between them are keypoints."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ..background import contrasting_grey
from ..canvas import Canvas
from ..placement import MIN_SPACING, perspective_grid
from .checkerboard import paint_mosaic


def draw_stripes(canvas: Canvas, rng: Generator) -> NDArray[np.float64]:
    """Draws two to eight stripes of different widths, each in a grey that differs from its neighbour's."""
    widths = 0.4 + rng.random(2 + int(7 * rng.random()))
    borders = np.concatenate(((0.0,), np.cumsum(widths))) / widths.sum()
    nodes = perspective_grid(borders, np.array((0.0, 1.0)), canvas.width, canvas.height, rng)
    shortest = float(np.sqrt((np.diff(nodes, axis=1) ** 2).sum(-1).min()))
    if shortest < MIN_SPACING:
        centre = nodes.reshape(-1, 2).mean(0)
        nodes = centre + (nodes - centre) * (MIN_SPACING / shortest)
    neighbour = canvas.background.reshape(-1)[:: canvas.background.size // 7]
    greys = []
    for _ in widths:
        greys.append(contrasting_grey(neighbour, rng))
        neighbour = np.array(greys[-1:], np.uint8)
    paint_mosaic(canvas, nodes, np.array(greys))
    return nodes.reshape(-1, 2)
