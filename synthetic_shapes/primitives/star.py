"""Strokes from one centre; the centre and the tips are the keypoints."""

from __future__ import annotations

import cmath
import math

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ..canvas import Canvas
from ..greys import STROKE_CONTRAST, contrasting_grey
from ..placement import as_points, stroke_thickness

_MIN_BRANCH = 13.0
_JITTER = 0.4
"""Share of the mean angle between branches by which the angle between two of them may differ from it."""


def draw_star(canvas: Canvas, rng: Generator) -> NDArray[np.float64]:
    """Draws three to six strokes whose directions differ by at least 36 degrees."""
    scale = min(canvas.width, canvas.height)
    branches = 3 + int(4 * rng.random())
    centre = complex(canvas.width * (0.25 + 0.5 * rng.random()), canvas.height * (0.25 + 0.5 * rng.random()))
    thickness = stroke_thickness(rng)
    grey = contrasting_grey((canvas.background_range,), rng, STROKE_CONTRAST)
    own_greys = rng.random() < 0.5
    step, phase = 2.0 * math.pi / branches, 2.0 * math.pi * rng.random()
    corners = [centre]
    for k, (jitter, reach) in enumerate(rng.random((branches, 2)).tolist()):
        angle, length = phase + (k + _JITTER * (jitter - 0.5)) * step, max(_MIN_BRANCH, scale * (0.12 + 0.35 * reach))
        tip = centre + cmath.rect(length, angle)
        if own_greys:
            grey = contrasting_grey((canvas.background_range,), rng, STROKE_CONTRAST)
        canvas.line(centre, tip, thickness, grey)
        corners.append(tip)
    # Flat ends leave notches between them.
    canvas.disc(centre, thickness / 2.0, grey)
    return as_points(corners)
