"""One polygon; its corners are the keypoints."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ..canvas import Canvas
from ..greys import contrasting_grey
from ..placement import as_points, random_polygon


def draw_polygon(canvas: Canvas, rng: Generator) -> NDArray[np.float64]:
    """Draws a polygon of three to seven corners, which may be concave or reach beyond the image."""
    scale = min(canvas.width, canvas.height)
    centre = complex(canvas.width * (0.2 + 0.6 * rng.random()), canvas.height * (0.2 + 0.6 * rng.random()))
    corners = random_polygon(centre, scale * (0.15 + 0.35 * rng.random()), 3 + int(5 * rng.random()), rng)
    canvas.polygon(corners, contrasting_grey((canvas.background_range,), rng))
    return as_points(corners)
