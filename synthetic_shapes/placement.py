"""Where shapes go: random outlines with sound corners, disjoint places, perspective grids."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Point = tuple[float, float]

MIN_SPACING = 7.0
"""Pixels that two corners of a shape keep between them, so that a detector can tell them apart."""

_MAX_CORNER_COSINE = math.cos(math.radians(25.0))


def random_polygon(centre: Point, radius: float, corner_count: int, rng: Generator) -> NDArray[np.float64]:
    """A simple polygon (N, 2) about ``centre`` with N up to ``corner_count`` corners.

    Every corner turns by at least 25 degrees, encloses at least 25, and lies at least ``MIN_SPACING`` from the next.
    Corners that break these rules are left out; where fewer than three remain, an equilateral triangle is returned.
    """
    step = 2.0 * math.pi / corner_count
    phase = rng.random() * step
    corners: list[Point] = []
    for k, (jitter, shrink) in enumerate(rng.random((corner_count, 2)).tolist()):
        angle, reach = phase + (k + 0.7 * (jitter - 0.5)) * step, radius * (1.0 - 0.55 * shrink)
        corners.append((centre[0] + reach * math.cos(angle), centre[1] + reach * math.sin(angle)))
    k = 0
    while k < len(corners) >= 3:
        if _is_sound(corners[k - 1], corners[k], corners[(k + 1) % len(corners)]):
            k += 1
        else:
            del corners[k]
            k = 0
    if len(corners) < 3:
        turns = [phase + 2.0 * math.pi * third / 3.0 for third in range(3)]
        corners = [(centre[0] + radius * math.cos(turn), centre[1] + radius * math.sin(turn)) for turn in turns]
    return np.array(corners)


def _is_sound(before: Point, corner: Point, after: Point) -> bool:
    """Whether the path ``before`` - ``corner`` - ``after`` makes a corner that can be seen and told apart."""
    to_before = (before[0] - corner[0], before[1] - corner[1])
    to_after = (after[0] - corner[0], after[1] - corner[1])
    length_before, length_after = math.hypot(*to_before), math.hypot(*to_after)
    if min(length_before, length_after) < MIN_SPACING:
        return False
    cosine = (to_before[0] * to_after[0] + to_before[1] * to_after[1]) / (length_before * length_after)
    return abs(cosine) < _MAX_CORNER_COSINE


def disjoint_circles(
    width: int, height: int, wanted: int, radii: tuple[float, float], gap: float, rng: Generator
) -> list[tuple[Point, float]]:
    """Up to ``wanted`` circles (centre, radius) inside the image that keep ``gap`` pixels between them."""
    circles: list[tuple[Point, float]] = []
    for u, v, w in rng.random((3 * wanted, 3)).tolist():
        radius = radii[0] + w * (radii[1] - radii[0])
        x = radius + u * (width - 1 - 2 * radius)
        y = radius + v * (height - 1 - 2 * radius)
        if all(math.hypot(x - cx, y - cy) >= radius + other + gap for (cx, cy), other in circles):
            circles.append(((x, y), radius))
            if len(circles) == wanted:
                break
    return circles


def perspective_grid(
    across: NDArray[np.floating], down: NDArray[np.floating], width: int, height: int, rng: Generator
) -> NDArray[np.float64]:
    """The nodes (len(down), len(across), 2) of a grid seen at a random pose; it may reach beyond the image.

    ``across`` and ``down`` are increasing positions in [0, 1], both ending at 0 and 1.
    """
    draws = rng.random(13).tolist()
    scale = min(width, height)
    half_x, half_y = scale * (0.25 + 0.4 * draws[0]), scale * (0.25 + 0.4 * draws[1])
    angle = 2.0 * math.pi * draws[2]
    centre_x, centre_y = width * (0.3 + 0.4 * draws[3]), height * (0.3 + 0.4 * draws[4])
    cosine, sine = math.cos(angle), math.sin(angle)
    corners = []
    for k, (u, v) in enumerate(((-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0))):
        x = half_x * u * (1.0 - 0.4 * draws[5 + 2 * k])
        y = half_y * v * (1.0 - 0.4 * draws[6 + 2 * k])
        corners.append((centre_x + cosine * x - sine * y, centre_y + sine * x + cosine * y))
    unit = np.array(((0, 0), (1, 0), (1, 1), (0, 1)), np.float32)
    H = cv2.getPerspectiveTransform(unit, np.array(corners, np.float32))
    u_nodes, v_nodes = across[None, :], down[:, None]
    weight = H[2, 0] * u_nodes + H[2, 1] * v_nodes + H[2, 2]
    x_nodes = (H[0, 0] * u_nodes + H[0, 1] * v_nodes + H[0, 2]) / weight
    y_nodes = (H[1, 0] * u_nodes + H[1, 1] * v_nodes + H[1, 2]) / weight
    return np.stack((x_nodes, y_nodes), -1)
