"""Several polygons that do not touch; their corners are the keypoints."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ..background import contrasting_grey, greys_at
from ..canvas import Canvas
from ..placement import MIN_SPACING, disjoint_circles, random_polygon


def draw_multiple_polygons(canvas: Canvas, rng: Generator) -> NDArray[np.float64]:
    """Draws up to eight polygons, each inside a circle of its own."""
    scale = min(canvas.width, canvas.height)
    circles = disjoint_circles(
        canvas.width, canvas.height, 2 + int(7 * rng.random()), (0.09 * scale, 0.26 * scale), MIN_SPACING / 2, rng
    )
    drawn = []
    for centre, radius in circles:
        corners = random_polygon(centre, radius, 3 + int(4 * rng.random()), rng)
        canvas.polygon(corners, contrasting_grey(greys_at(canvas.background, corners), rng))
        drawn.append(corners)
    return np.concatenate(drawn)
