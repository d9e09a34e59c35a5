"""Quadrilaterals drawn on images, and sheets of such pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..pictures.canvas import Colour
from ..pictures.quads import draw_quads as quads_on

FOUND: Colour = (0, 220, 255)
HIT: Colour = (60, 200, 60)
MISSED: Colour = (255, 50, 50)
FALSE_ALARM: Colour = (255, 170, 0)

_COLUMNS = 4
_GAP = 4


def draw_quads(image: NDArray[np.uint8], corners: ArrayLike, colour: Colour) -> NDArray[np.uint8]:
    """A picture with quadrilaterals, a dot at the first corner of each.

    Args:
        image: uint8 (H, W) or (H, W, 3), red first; it stays as it is.
        corners: (N, 4, 2).
        colour: Red first.

    Returns:
        uint8 (H, W, 3).
    """
    picture = np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image
    quads = list(np.asarray(corners, np.float64).reshape(-1, 4, 2))
    return quads_on(picture, quads, [""] * len(quads), [colour] * len(quads), thickness=1)


def sheet(pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Pictures of one size side by side, four in a row; a small black one where there is none."""
    if not pictures:
        return np.zeros((8, 8, 3), np.uint8)
    height, width, _ = pictures[0].shape
    rows = -(-len(pictures) // _COLUMNS)
    columns = min(len(pictures), _COLUMNS)
    whole = np.zeros((rows * (height + _GAP) - _GAP, columns * (width + _GAP) - _GAP, 3), np.uint8)
    for number, picture in enumerate(pictures):
        top, left = number // _COLUMNS * (height + _GAP), number % _COLUMNS * (width + _GAP)
        whole[top : top + height, left : left + width] = picture
    return whole
