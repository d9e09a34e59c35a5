"""Pictures of quadrilaterals on their image."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from .canvas import Colour, Drawable, as_colours

_FRACTION_BITS = 4
_FAR = 2**20  # pixels; what OpenCV draws has coordinates of 32 bits
_GOLDEN = 0.618  # of a turn: the hues of numbers that follow each other are far apart


def number_colour(number: int) -> Colour:
    """A bright colour, red first, unlike those of the numbers next to it."""
    red, green, blue = colorsys.hsv_to_rgb((0.33 + _GOLDEN * number) % 1.0, 0.85, 1.0)
    return int(255 * red), int(255 * green), int(255 * blue)


def draw_quads(
    image: Drawable, quads: Sequence[ArrayLike], texts: Sequence[str], colours: Sequence[Colour]
) -> NDArray[np.uint8]:
    """Draw the outline of each quadrilateral, a dot at its first corner and a text beside its highest one.

    Args:
        image: (H, W) in [0, 1], or uint8 (H, W, 3), red first.
        quads: Each (4, 2), (x, y) in pixels; what lies outside the image is cut off.
        texts: Of each; what has no letter of ASCII shows question marks.
        colours: Of each.

    Returns:
        uint8 (H, W, 3), red first.
    """
    picture = as_colours(image)
    height, width = picture.shape[:2]
    for quad, text, colour in zip(quads, texts, colours, strict=True):
        corners = np.clip(np.asarray(quad, np.float64), -_FAR, _FAR)
        points = np.rint(corners * (1 << _FRACTION_BITS)).astype(np.int32)
        for thickness, ink in ((4, (0, 0, 0)), (2, colour)):
            cv2.polylines(picture, [points], True, ink, thickness, cv2.LINE_AA, _FRACTION_BITS)
        cv2.circle(picture, tuple(points[0].tolist()), 4 << _FRACTION_BITS, colour, -1, cv2.LINE_AA, _FRACTION_BITS)
        x, y = corners[corners[:, 1].argmin()]
        place = int(np.clip(x, 2, max(2, width - 8 * len(text)))), int(np.clip(y - 6, 12, height - 4))
        for thickness, ink in ((3, (0, 0, 0)), (1, colour)):
            cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, ink, thickness, cv2.LINE_AA)
    return picture
