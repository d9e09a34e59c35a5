"""Strokes that meet and cross; their ends, junctions and crossings are the keypoints."""

from __future__ import annotations

import math

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ..background import STROKE_CONTRAST, contrasting_grey, greys_at
from ..canvas import Canvas
from ..placement import MIN_SPACING, Point

_MIN_SINE = math.sin(math.radians(25.0))


def draw_lines(canvas: Canvas, rng: Generator) -> NDArray[np.float64]:
    """Draws one to seven strokes; some start at the end of another or on its middle."""
    scale = min(canvas.width, canvas.height)
    strokes, keypoints = _lay_out(canvas, 1 + int(7 * rng.random()), rng)
    shares_grey = rng.random() < 0.4
    grey = -1.0
    for start, end in strokes:
        if grey < 0.0 or not shares_grey:
            along = np.linspace(start, end, 5)
            grey = contrasting_grey(greys_at(canvas.background, along), rng, STROKE_CONTRAST)
        canvas.line(start, end, max(1.0, (1.0 + 2.5 * rng.random() ** 2) * scale / 120.0), grey)
    return np.array(keypoints)


def _lay_out(canvas: Canvas, wanted: int, rng: Generator) -> tuple[list[tuple[Point, Point]], list[Point]]:
    """Strokes whose keypoints keep their distance, and all those keypoints."""
    width, height = canvas.width, canvas.height
    strokes: list[tuple[Point, Point]] = []
    keypoints: list[Point] = []
    margin = 3.0
    for mode, pick, along, x, y, u, v in rng.random((3 * wanted, 7)).tolist():
        start = (margin + x * (width - 1 - 2 * margin), margin + y * (height - 1 - 2 * margin))
        host = -1
        if strokes and mode < 0.5:
            host = int(pick * len(strokes))
            start = _on_stroke(strokes[host], 1.0 if mode < 0.3 else 0.2 + 0.6 * along)
        end = (margin + u * (width - 1 - 2 * margin), margin + v * (height - 1 - 2 * margin))
        met = _meet(start, end, host, strokes, keypoints)
        if met is not None:
            strokes.append((start, end))
            keypoints += [point for point in met if point not in keypoints]
            if len(strokes) == wanted:
                break
    return strokes, keypoints


def _on_stroke(stroke: tuple[Point, Point], fraction: float) -> Point:
    (x0, y0), (x1, y1) = stroke
    return (x1, y1) if fraction == 1.0 else (x0 + fraction * (x1 - x0), y0 + fraction * (y1 - y0))


def _meet(
    start: Point, end: Point, host: int, strokes: list[tuple[Point, Point]], keypoints: list[Point]
) -> list[Point] | None:
    """The keypoints that a new stroke brings, or None where it would crowd those that are there.

    The stroke starts on stroke number ``host``, or freely where that is -1.
    """
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = math.hypot(dx, dy)
    if length < 3.0 * MIN_SPACING:
        return None
    brought = [start, end]
    for number, (a, b) in enumerate(strokes):
        ex, ey = b[0] - a[0], b[1] - a[1]
        other_length = math.hypot(ex, ey)
        cross = dx * ey - dy * ex
        starts_here = number == host or start in (a, b)
        if starts_here:
            if abs(cross) < _MIN_SINE * length * other_length:
                return None
            continue
        ax, ay = a[0] - start[0], a[1] - start[1]
        t = (ax * ey - ay * ex) / cross if cross else math.inf
        s = (ax * dy - ay * dx) / cross if cross else math.inf
        if 0.0 < t < 1.0 and 0.0 < s < 1.0:
            if abs(cross) < _MIN_SINE * length * other_length:
                return None
            brought.append((start[0] + t * dx, start[1] + t * dy))
        # A near miss of an end and a stroke looks like a junction and is none.
        ends = ((a, start, dx, dy, length), (b, start, dx, dy, length), (start, a, ex, ey, other_length),
                (end, a, ex, ey, other_length))
        if any(_distance(point, origin, ux, uy, reach) < MIN_SPACING for point, origin, ux, uy, reach in ends):
            return None
    for k, point in enumerate(brought):
        others = brought[:k] + [known for known in keypoints if known != point]
        if any(math.hypot(point[0] - x, point[1] - y) < MIN_SPACING for x, y in others):
            return None
    return brought


def _distance(point: Point, origin: Point, dx: float, dy: float, length: float) -> float:
    """From a point to the segment origin + [0, 1] * (dx, dy)."""
    px, py = point[0] - origin[0], point[1] - origin[1]
    t = min(1.0, max(0.0, (px * dx + py * dy) / (length * length)))
    return math.hypot(px - t * dx, py - t * dy)
