"""A box with three visible faces; its seven visible corners are the keypoints."""

from __future__ import annotations

import math

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ..background import MIN_CONTRAST, greys_at
from ..canvas import Canvas
from ..placement import MIN_SPACING

_MAX_FACE_COSINE = math.cos(math.radians(20.0))
_FACES = ((0, 2, 3, 1), (0, 4, 6, 2), (0, 1, 5, 4))
"""Corner k of the box lies on the far side along axis a where bit a of k is set: 0 is nearest, 7 is hidden."""
_OUTLINE = (1, 3, 2, 6, 4, 5)


def draw_cube(canvas: Canvas, rng: Generator) -> NDArray[np.float64]:
    """Draws a box of random sides and pose, its faces in three greys."""
    scale = min(canvas.width, canvas.height)
    offset = np.array((canvas.width * (0.3 + 0.4 * rng.random()), canvas.height * (0.3 + 0.4 * rng.random())))
    corners = offset + _box_corners(scale, rng)
    greys = _face_greys(greys_at(canvas.background, corners), rng)
    # As in a mosaic: the mean grey beneath the seams between the faces.
    canvas.polygon(corners[list(_OUTLINE)], sum(greys) / 3.0, 0.75)
    for face, grey in zip(_FACES, greys, strict=True):
        canvas.polygon(corners[list(face)], grey)
    return corners


def _box_corners(scale: float, rng: Generator) -> NDArray[np.float64]:
    """The seven visible corners (7, 2) about the box's centre, each face wide enough to be seen."""
    for _ in range(20):
        yaw, pitch, roll = (math.pi * rng.random(3)).tolist()
        half = scale * (0.12 + 0.2 * rng.random(3))
        axes = _rotation(2.0 * roll, pitch, yaw) * half
        # The viewer looks along +z: of each axis, the end with the smaller z is near.
        axes *= np.where(axes[2] > 0, -1.0, 1.0)
        signs = np.array([[-1.0 if corner >> axis & 1 else 1.0 for axis in range(3)] for corner in range(7)])
        points = signs @ axes.T
        depth = 1.0 + 0.6 * points[:, 2:] / (4.0 * scale)
        corners: NDArray[np.float64] = points[:, :2] / depth
        if _faces_are_open(corners):
            return corners
    return 0.25 * scale * np.array(((0, 0), (-1, -0.5), (1, -0.5), (0, -1), (0, 1), (-1, 0.5), (1, 0.5)), np.float64)


def _rotation(roll: float, pitch: float, yaw: float) -> NDArray[np.float64]:
    cr, sr, cp, sp, cy, sy = (f(a) for a in (roll, pitch, yaw) for f in (math.cos, math.sin))
    about_z = np.array(((cr, -sr, 0), (sr, cr, 0), (0, 0, 1)))
    about_x = np.array(((1, 0, 0), (0, cp, -sp), (0, sp, cp)))
    about_y = np.array(((cy, 0, sy), (0, 1, 0), (-sy, 0, cy)))
    rotation: NDArray[np.float64] = about_z @ about_x @ about_y
    return rotation


def _faces_are_open(corners: NDArray[np.float64]) -> bool:
    """Whether the three edges at the near corner are long enough and well apart in direction."""
    edges = corners[[1, 2, 4]] - corners[0]
    lengths = np.sqrt((edges**2).sum(1))
    if float(lengths.min()) < MIN_SPACING:
        return False
    unit = edges / lengths[:, None]
    cosines = np.abs(unit @ unit.T)[[0, 0, 1], [1, 2, 2]]
    return float(cosines.max()) < _MAX_FACE_COSINE


def _face_greys(beneath: NDArray[np.uint8], rng: Generator) -> list[float]:
    """Three greys that differ from each other and, where there is room, from the background."""
    low, high = float(beneath.min()), float(beneath.max())
    greys = [0.0, 127.0, 255.0]
    for candidate in (255.0 * rng.random((30, 3))).tolist():
        a, b, c = sorted(candidate)
        apart = b - a >= MIN_CONTRAST and c - b >= MIN_CONTRAST
        if apart and all(grey <= low - MIN_CONTRAST or grey >= high + MIN_CONTRAST for grey in candidate):
            return list(candidate)
        if apart:
            greys = candidate
    return list(greys)
