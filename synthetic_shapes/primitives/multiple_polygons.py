"""Several polygons that do not touch; their corners are the keypoints."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ..canvas import Canvas
from ..greys import contrasting_grey
from ..placement import MIN_SPACING, as_points, disjoint_circles, random_polygon


def draw_multiple_polygons(canvas: Canvas, rng: Generator) -> NDArray[np.float64]:
    """Draws up to eight polygons, each inside a circle of its own."""
    scale = min(canvas.width, canvas.height)
    wanted, radii = 2 + int(7 * rng.random()), (max(MIN_SPACING, 0.09 * scale), 0.26 * scale)
    drawn: list[complex] = []
    for centre, radius in disjoint_circles(canvas.width, canvas.height, wanted, radii, MIN_SPACING, rng):
        corners = random_polygon(centre, radius, 3 + int(4 * rng.random()), rng)
        canvas.polygon(corners, contrasting_grey((canvas.background_range,), rng))
        drawn += corners
    return as_points(drawn)
