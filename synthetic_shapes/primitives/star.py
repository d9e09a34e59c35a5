"""Strokes from one centre; the centre and the tips are the keypoints."""

from __future__ import annotations

import math

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ..background import STROKE_CONTRAST, contrasting_grey, greys_at
from ..canvas import Canvas


def draw_star(canvas: Canvas, rng: Generator) -> NDArray[np.float64]:
    """Draws three to six strokes whose directions differ by at least 27 degrees."""
    scale = min(canvas.width, canvas.height)
    branches = 3 + int(4 * rng.random())
    x, y = canvas.width * (0.25 + 0.5 * rng.random()), canvas.height * (0.25 + 0.5 * rng.random())
    thickness = (1.0 + 2.5 * rng.random() ** 2) * scale / 120.0
    step, phase = 2.0 * math.pi / branches, 2.0 * math.pi * rng.random()
    points = [(x, y)]
    for k, (jitter, reach) in enumerate(rng.random((branches, 2)).tolist()):
        angle, length = phase + (k + 0.55 * (jitter - 0.5)) * step, scale * (0.12 + 0.35 * reach)
        points.append((x + length * math.cos(angle), y + length * math.sin(angle)))
    corners = np.array(points)
    beneath = greys_at(canvas.background, np.concatenate((corners, (corners + corners[0]) / 2)))
    grey = contrasting_grey(beneath, rng, STROKE_CONTRAST)
    own_greys = rng.random() < 0.5
    for tip in points[1:]:
        if own_greys:
            grey = contrasting_grey(beneath, rng, STROKE_CONTRAST)
        canvas.line(points[0], tip, max(1.0, thickness), grey)
    return corners
