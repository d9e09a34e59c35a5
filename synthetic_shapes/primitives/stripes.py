"""Parallel stripes in perspective; both ends of every border between them are keypoints."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ..canvas import Canvas
from ..greys import contrasting_grey
from ..placement import perspective_grid
from .checkerboard import paint_mosaic

_TWO_ENDS = np.array((0.0, 1.0))


def draw_stripes(canvas: Canvas, rng: Generator) -> NDArray[np.float64]:
    """Draws two to eight stripes of different widths, each in a grey that differs from its neighbour's."""
    most = min(8, min(canvas.width, canvas.height) // 14)
    widths = 0.4 + rng.random(2 + int((most - 1) * rng.random()))
    borders = np.zeros(len(widths) + 1)
    borders[1:] = widths.cumsum() / widths.sum()
    nodes = perspective_grid(borders, _TWO_ENDS, canvas.width, canvas.height, rng)
    greys = [contrasting_grey((canvas.background_range,), rng)]
    for _ in widths[1:]:
        greys.append(contrasting_grey((canvas.background_range, (greys[-1], greys[-1])), rng))
    return paint_mosaic(canvas, nodes, greys)
