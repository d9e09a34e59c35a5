"""Ellipses that do not touch: edges without a corner, so that a detector learns to leave them alone."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ..background import contrasting_grey, greys_at
from ..canvas import Canvas
from ..placement import disjoint_circles


def draw_ellipses(canvas: Canvas, rng: Generator) -> NDArray[np.float64]:
    """Draws up to ten ellipses; there are no keypoints."""
    scale = min(canvas.width, canvas.height)
    circles = disjoint_circles(
        canvas.width, canvas.height, 1 + int(10 * rng.random()), (0.05 * scale, 0.3 * scale), 3.0, rng
    )
    for (x, y), radius in circles:
        flatness, degrees = 0.3 + 0.7 * rng.random(), 180.0 * rng.random()
        around = np.array(((x, y), (x - radius, y), (x + radius, y), (x, y - radius), (x, y + radius)))
        grey = contrasting_grey(greys_at(canvas.background, around), rng)
        canvas.ellipse((x, y), (radius, max(3.0, flatness * radius)), degrees, grey)
    return np.empty((0, 2))
