"""Pictures of quadrilaterals on their image."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from .canvas import Colour, Drawable, as_colours

_FRACTION_BITS = 4
_FAR = 2**14  # pixels; OpenCV's fixed point ends at 2^15
_FONT, _FONT_SCALE, _MARGIN = cv2.FONT_HERSHEY_SIMPLEX, 0.45, 2
_GOLDEN = 0.618  # of a turn: the hues of numbers that follow each other are far apart


def number_colour(number: int) -> Colour:
    """A bright colour, red first, unlike those of the numbers next to it."""
    red, green, blue = colorsys.hsv_to_rgb((0.33 + _GOLDEN * number) % 1.0, 0.85, 1.0)
    return int(255 * red), int(255 * green), int(255 * blue)


def draw_quads(
    image: Drawable,
    quads: Sequence[ArrayLike],
    texts: Sequence[str],
    colours: Sequence[Colour],
    thickness: int = 2,
) -> NDArray[np.uint8]:
    """Draw the outline of each quadrilateral, a dot at its first corner and a text beside its highest one.

    Args:
        image: (H, W) in [0, 1], or uint8 (H, W, 3), red first.
        quads: Each (4, 2), (x, y) in pixels; what lies outside the image is cut off.
        texts: Of each; what has no letter of ASCII shows question marks.
        colours: Of each.
        thickness: Of the lines, in pixels; from 2 on they have a dark rim, so that they are seen on any ground.

    Returns:
        uint8 (H, W, 3).
    """
    picture = as_colours(image)
    for quad, text, colour in zip(quads, texts, colours, strict=True):
        corners = np.clip(np.asarray(quad, np.float64), -_FAR, _FAR)
        points = np.rint(corners * (1 << _FRACTION_BITS)).astype(np.int32)
        if thickness > 1:
            cv2.polylines(picture, [points], True, (0, 0, 0), thickness + 2, cv2.LINE_AA, _FRACTION_BITS)
        cv2.polylines(picture, [points], True, colour, thickness, cv2.LINE_AA, _FRACTION_BITS)
        radius = (thickness + 2) << _FRACTION_BITS
        cv2.circle(picture, points[0].tolist(), radius, colour, -1, cv2.LINE_AA, _FRACTION_BITS)
        x, y = corners[corners[:, 1].argmin()]
        if text:
            _write(picture, text, x, y - 6, colour)
    return picture


def _write(picture: NDArray[np.uint8], text: str, x: float, y: float, colour: Colour) -> None:
    """A text on a dark ground, above its place as far as the picture has room."""
    (across, up), down = cv2.getTextSize(text, _FONT, _FONT_SCALE, 1)
    height, width = picture.shape[:2]
    left = int(np.clip(x, _MARGIN, max(_MARGIN, width - across - _MARGIN)))
    base = int(np.clip(y, up + _MARGIN, max(up + _MARGIN, height - down)))
    cv2.rectangle(picture, (left - _MARGIN, base - up - _MARGIN), (left + across + _MARGIN, base + down), (0, 0, 0), -1)
    cv2.putText(picture, text, (left, base), _FONT, _FONT_SCALE, colour, 1, cv2.LINE_AA)
