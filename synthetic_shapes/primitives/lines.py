"""Strokes that meet and cross; their ends, junctions and crossings are the keypoints."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ..canvas import Canvas
from ..greys import STROKE_CONTRAST, contrasting_grey
from ..placement import MIN_SPACING, as_points, distance_to_segment, keep_distance, stroke_thickness

_MIN_SINE = math.sin(math.radians(35.0))
_MIN_LENGTH = 3.0 * MIN_SPACING
_MARGIN = 3.0


class _Stroke(NamedTuple):
    start: complex
    end: complex
    thickness: float
    continues: bool
    """Whether it starts at the end of another stroke."""


def draw_lines(canvas: Canvas, rng: Generator) -> NDArray[np.float64]:
    """Draws one to seven strokes; some start at the end of another or on its middle."""
    strokes, keypoints = _lay_out(canvas.width, canvas.height, 1 + int(7 * rng.random()), rng)
    shares_grey = rng.random() < 0.4
    grey = contrasting_grey((canvas.background_range,), rng, STROKE_CONTRAST)
    for start, end, thickness, continues in strokes:
        if not shares_grey:
            grey = contrasting_grey((canvas.background_range,), rng, STROKE_CONTRAST)
        canvas.line(start, end, thickness, grey)
        if continues:
            # Two flat ends leave a notch between them.
            canvas.disc(start, thickness / 2.0, grey)
    return as_points(keypoints)


def _lay_out(width: int, height: int, wanted: int, rng: Generator) -> tuple[list[_Stroke], list[complex]]:
    """Strokes whose keypoints keep their distance, and all those keypoints."""
    strokes: list[_Stroke] = []
    keypoints: list[complex] = []
    room_x, room_y = width - 1 - 2 * _MARGIN, height - 1 - 2 * _MARGIN
    for mode, pick, along, x, y, u, v in rng.random((3 * wanted + 5, 7)).tolist():
        start, end = (
            complex(_MARGIN + x * room_x, _MARGIN + y * room_y),
            complex(_MARGIN + u * room_x, _MARGIN + v * room_y),
        )
        host = strokes[int(pick * len(strokes))] if strokes and mode < 0.5 else None
        if host is not None:
            start = host.end if mode < 0.3 else host.start + (0.2 + 0.6 * along) * (host.end - host.start)
        brought = _meet(start, end, host, strokes, keypoints)
        if brought is None:
            continue
        # At a junction both strokes are equally thick, so that no flat end sticks out behind the other.
        thickness = stroke_thickness(rng) if host is None else host.thickness
        strokes.append(_Stroke(start, end, thickness, host is not None and start == host.end))
        keypoints += brought
        if len(strokes) == wanted:
            break
    return strokes, keypoints


def _meet(
    start: complex, end: complex, host: _Stroke | None, strokes: list[_Stroke], keypoints: list[complex]
) -> list[complex] | None:
    """The keypoints that a new stroke brings, or None where it would crowd those that are there."""
    along = end - start
    length = abs(along)
    brought = [end] if start in keypoints else [start, end]
    if length < _MIN_LENGTH or not keep_distance(brought, keypoints):
        return None
    for other in strokes:
        other_along = other.end - other.start
        other_length = abs(other_along)
        cross = (along.conjugate() * other_along).imag
        is_steep = abs(cross) >= _MIN_SINE * length * other_length
        if other is host or start == other.start or start == other.end:
            if not is_steep:
                return None
            continue
        # Cross products that, over a stroke's length, are the signed distances of the ends from the other's line.
        between = (other.start - start).conjugate()
        from_start, from_other = (between * other_along).imag, (between * along).imag
        near = min(abs(from_start), abs(from_start - cross)) < MIN_SPACING * other_length
        near = near or min(abs(from_other), abs(from_other - cross)) < MIN_SPACING * length
        # A near miss of an end and a stroke looks like a junction and is none.
        if near and _nearest_end(start, end, other) < MIN_SPACING:
            return None
        if from_start * (from_start - cross) < 0.0 and from_other * (from_other - cross) < 0.0:
            if not is_steep:
                return None
            brought.append(start + from_start / cross * along)
    return brought if keep_distance(brought, keypoints) else None


def _nearest_end(start: complex, end: complex, other: _Stroke) -> float:
    """The smallest distance from an end of one of two strokes to the other stroke."""
    return min(
        distance_to_segment(start, other.start, other.end),
        distance_to_segment(end, other.start, other.end),
        distance_to_segment(other.start, start, end),
        distance_to_segment(other.end, start, end),
    )
