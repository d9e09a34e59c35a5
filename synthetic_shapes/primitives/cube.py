"""A box with three visible faces; its seven visible corners are the keypoints."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ..canvas import Canvas
from ..greys import contrasting_grey
from ..placement import MIN_TURN, as_points, keep_distance

_MAX_FACE_COSINE = math.cos(MIN_TURN)
_FACES = ((0, 2, 3, 1), (0, 4, 6, 2), (0, 1, 5, 4))
"""Corner k of the box lies on the far side along axis a where bit a of k is set: 0 is nearest, 7 is hidden."""
_OUTLINE = (1, 3, 2, 6, 4, 5)
_SIGNS = tuple(tuple(-1.0 if corner >> axis & 1 else 1.0 for axis in range(3)) for corner in range(7))
_PLAIN_BOX = (0j, -1 - 0.5j, 1 - 0.5j, -1j, 1j, -1 + 0.5j, 1 + 0.5j)

_Vector = tuple[float, float, float]


def draw_cube(canvas: Canvas, rng: Generator) -> NDArray[np.float64]:
    """Draws a box of random sides and pose, its faces in three greys."""
    scale = min(canvas.width, canvas.height)
    centre = complex(canvas.width * (0.3 + 0.4 * rng.random()), canvas.height * (0.3 + 0.4 * rng.random()))
    corners = [centre + corner for corner in _box_corners(scale, rng)]
    taken = [canvas.background_range]
    for _ in _FACES:
        grey = contrasting_grey(taken, rng)
        taken.append((grey, grey))
    greys = [grey for grey, _ in taken[1:]]
    # As in a mosaic: the mean grey beneath the seams between the faces.
    canvas.polygon([corners[k] for k in _OUTLINE], sum(greys) / 3.0, 0.75)
    canvas.quads(np.array([[corners[k] for k in face] for face in _FACES]), greys)
    return as_points(corners)


def _box_corners(scale: float, rng: Generator) -> list[complex]:
    """The seven visible corners about the box's centre, each face wide enough to be seen."""
    for _ in range(20):
        draws = rng.random(6).tolist()
        axes = []
        for draw, (x, y, z) in zip(draws[3:], _axes(*draws[:3]), strict=True):
            # The viewer looks along +z: of each axis, the end with the smaller z is near.
            half = math.copysign(0.12 + 0.2 * draw, -z)
            axes.append((scale * half * complex(x, y), half * z))
        (a, a_depth), (b, b_depth), (c, c_depth) = axes
        corners = [
            (i * a + j * b + k * c) / (1.0 + 0.15 * (i * a_depth + j * b_depth + k * c_depth)) for i, j, k in _SIGNS
        ]
        if _faces_are_open(corners) and keep_distance(corners):
            return corners
    return [0.25 * scale * corner for corner in _PLAIN_BOX]


def _axes(roll: float, pitch: float, yaw: float) -> tuple[_Vector, _Vector, _Vector]:
    """The three axes turned about y, then x, then z by angles that are given as shares, in [0, 1], of their range."""
    angles = (2.0 * math.pi * roll, math.pi * pitch, math.pi * yaw)
    cr, sr, cp, sp, cy, sy = (f(angle) for angle in angles for f in (math.cos, math.sin))
    return (
        (cr * cy - sr * sp * sy, sr * cy + cr * sp * sy, -cp * sy),
        (-sr * cp, cr * cp, sp),
        (cr * sy + sr * sp * cy, sr * sy - cr * sp * cy, cp * cy),
    )


def _faces_are_open(corners: list[complex]) -> bool:
    """Whether the three edges at the near corner, of any length, are well apart in direction."""
    edges = [corners[k] - corners[0] for k in (1, 2, 4)]
    return all(abs((a.conjugate() * b).real) < _MAX_FACE_COSINE * abs(a) * abs(b) for a, b in combinations(edges, 2))
