"""Where shapes go: random outlines with sound corners, disjoint places, perspective grids."""

from __future__ import annotations

import cmath
import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

MIN_SPACING = 7.0
"""Pixels that two corners keep between them, so that a detector can tell them apart."""

MIN_TURN = math.radians(30.0)
"""Smallest angle by which an outline turns at a corner, and that it encloses there."""

_MAX_CORNER_COSINE = math.cos(MIN_TURN)


def random_polygon(centre: complex, radius: float, corner_count: int, rng: Generator) -> list[complex]:
    """The corners x + iy of a simple polygon about `centre`, up to `corner_count` of them.

    Every corner turns by at least `MIN_TURN`, encloses at least as much, and lies at least `MIN_SPACING` from the
    others and from the edges that do not meet there. Corners that break these rules are left out; where fewer than
    three remain, an equilateral triangle is returned.
    """
    step = 2.0 * math.pi / corner_count
    phase = rng.random() * step
    corners = [
        centre + cmath.rect(radius * (1.0 - 0.55 * shrink), phase + (k + 0.7 * (jitter - 0.5)) * step)
        for k, (jitter, shrink) in enumerate(rng.random((corner_count, 2)).tolist())
    ]
    k = 0
    while k < len(corners) >= 3:
        if _is_sound(k, corners):
            k += 1
        else:
            del corners[k]
            k = 0
    if len(corners) < 3:
        corners = [centre + cmath.rect(radius, phase + 2.0 * math.pi * third / 3.0) for third in range(3)]
    return corners


def _is_sound(k: int, corners: list[complex]) -> bool:
    """Whether corner `k` of an outline can be seen and told apart from all that is near."""
    corner = corners[k]
    before, after = corners[k - 1] - corner, corners[k + 1 - len(corners)] - corner
    length_before, length_after = abs(before), abs(after)
    if min(length_before, length_after) < MIN_SPACING:
        return False
    if abs((before.conjugate() * after).real) > _MAX_CORNER_COSINE * length_before * length_after:
        return False
    for start, end in pairwise(corners[k + 1 :] + corners[:k]):
        if distance_to_segment(corner, start, end) < MIN_SPACING:
            return False
    return True


def distance_to_segment(point: complex, start: complex, end: complex) -> float:
    """From a point to the nearest point of the segment from `start` to `end`, which differ."""
    # In coordinates in which the segment runs from 0 to 1.
    along = end - start
    place = (point - start) / along
    if place.real < 0.0:
        return abs(point - start)
    if place.real > 1.0:
        return abs(point - end)
    return abs(place.imag) * abs(along)


def keep_distance(points: Sequence[complex], others: Sequence[complex] = ()) -> bool:
    """Whether all `points` are at least `MIN_SPACING` from each other and from all `others`."""
    for k, point in enumerate(points):
        for other in (*points[:k], *others):
            if abs(point - other) < MIN_SPACING:
                return False
    return True


def stroke_thickness(rng: Generator) -> float:
    """One to three pixels, whatever the size of the image: the two edges of a broader stroke's end are two corners."""
    return 1.0 + 2.0 * float(rng.random()) ** 2


def disjoint_circles(
    width: int, height: int, wanted: int, radii: tuple[float, float], gap: float, rng: Generator
) -> list[tuple[complex, float]]:
    """Up to `wanted` circles (centre, radius) inside the image that keep `gap` pixels between them."""
    circles: list[tuple[complex, float]] = []
    for u, v, w in rng.random((3 * wanted, 3)).tolist():
        radius = radii[0] + w * (radii[1] - radii[0])
        centre = complex(radius + u * (width - 1 - 2 * radius), radius + v * (height - 1 - 2 * radius))
        for other, reach in circles:
            if abs(centre - other) < radius + reach + gap:
                break
        else:
            circles.append((centre, radius))
            if len(circles) == wanted:
                break
    return circles


def as_points(corners: Sequence[complex] | NDArray[np.complex128]) -> NDArray[np.float64]:
    """Any number of complex x + iy as (N, 2) rows (x, y)."""
    return np.array(corners, np.complex128).reshape(-1, 1).view(np.float64)


def perspective_grid(
    across: NDArray[np.floating], down: NDArray[np.floating], width: int, height: int, rng: Generator
) -> NDArray[np.complex128]:
    """The nodes x + iy, (len(down), len(across)), of a grid seen at a random pose; it may reach beyond the image.

    `across` and `down` are increasing positions in [0, 1], both ending at 0 and 1. Where two nodes would come
    closer than `MIN_SPACING`, the whole grid is enlarged about its centre.
    """
    draws = rng.random(13).tolist()
    scale = min(width, height)
    half_x, half_y = scale * (0.25 + 0.4 * draws[0]), scale * (0.25 + 0.4 * draws[1])
    turn = cmath.rect(1.0, 2.0 * math.pi * draws[2])
    centre = complex(width * (0.3 + 0.4 * draws[3]), height * (0.3 + 0.4 * draws[4]))
    corners = []
    for k, (u, v) in enumerate(((-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0))):
        x, y = half_x * u * (1.0 - 0.4 * draws[5 + 2 * k]), half_y * v * (1.0 - 0.4 * draws[6 + 2 * k])
        corners.append(turn * complex(x, y))
    a, b, c, g, h = _from_unit_square(corners)
    columns, rows = across, down[:, None]
    nodes = (a * columns + (b * rows + c)) / (g * columns + (h * rows + 1.0))
    steps = [nodes[:, 1:] - nodes[:, :-1], nodes[1:] - nodes[:-1]]
    steps += [nodes[1:, 1:] - nodes[:-1, :-1], nodes[1:, :-1] - nodes[:-1, 1:]]
    shortest = min(float(np.abs(step).min()) for step in steps)
    return np.asarray(nodes * max(1.0, MIN_SPACING / shortest) + centre, np.complex128)


def _from_unit_square(corners: list[complex]) -> tuple[complex, complex, complex, float, float]:
    """The homography from (u, v) in the unit square to z = (a u + b v + c) / (g u + h v + 1).

    `corners` are the images x + iy of (0, 0), (1, 0), (1, 1), (0, 1) (Heckbert, Fundamentals of Texture Mapping and
    Image Warping, 1989, section 2.2.3).
    """
    z0, z1, z2, z3 = corners
    d1, d2, rest = z1 - z2, z3 - z2, z0 - z1 + z2 - z3
    area = (d1.conjugate() * d2).imag
    g, h = (rest.conjugate() * d2).imag / area, (d1.conjugate() * rest).imag / area
    return z1 - z0 + g * z1, z3 - z0 + h * z3, z0, g, h
