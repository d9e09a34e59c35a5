"""Ellipses that do not touch: edges without a corner, so that a detector learns to leave them alone."""

from __future__ import annotations

import math

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ..canvas import Canvas
from ..greys import contrasting_grey
from ..placement import disjoint_circles

_MIN_CURVATURE_RADIUS = 4.0
"""Pixels: an ellipse that bends more sharply at its tips would look as if it had corners there."""


def draw_ellipses(canvas: Canvas, rng: Generator) -> NDArray[np.float64]:
    """Draws up to ten ellipses; there are no keypoints."""
    scale = min(canvas.width, canvas.height)
    wanted, smallest = 1 + int(10 * rng.random()), max(6.0, 0.05 * scale)
    for centre, radius in disjoint_circles(canvas.width, canvas.height, wanted, (smallest, 0.3 * scale), 3.0, rng):
        flatness, degrees = 0.3 + 0.7 * rng.random(), 180.0 * rng.random()
        # The radius of curvature at the tips is b * b / a.
        other = max(flatness * radius, math.sqrt(_MIN_CURVATURE_RADIUS * radius))
        canvas.ellipse(centre, (radius, other), degrees, contrasting_grey((canvas.background_range,), rng))
    return np.empty((0, 2))
