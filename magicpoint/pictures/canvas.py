"""What pictures are drawn on, and what tells how to read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Drawable = NDArray[np.float32] | NDArray[np.uint8]
"""Grey values (H, W) in [0, 1], or colours uint8 (H, W, 3), red first."""

Colour = tuple[int, int, int]

LegendEntry = tuple[str, NDArray[np.uint8] | None]
"""A text, and the colours (K, 3) of a swatch before it, if it has one."""

LEGEND_HEIGHT = 24
_CYAN = 90  # of OpenCV's 180 hues
_BACKGROUND, _INK = 24, 225
_FONT, _FONT_SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.42
_BASELINE, _MARGIN, _SWATCH = 16, 8, 12


def as_colours(image: Drawable) -> NDArray[np.uint8]:
    """uint8 (H, W, 3), red first, a copy."""
    if image.ndim == 3:
        return np.array(image, np.uint8)
    return np.repeat(np.rint(image * 255).astype(np.uint8)[..., None], 3, axis=2)


def score_colours(shares: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Bright colours (N, 3), red first, from red (0) over yellow to cyan (1), by the root of the share.

    Most keypoints have a small share of the largest score; the root tells them apart.
    """
    hsv = np.full((len(shares), 1, 3), 255, np.uint8)
    hsv[:, 0, 0] = np.rint(_CYAN * np.sqrt(np.clip(shares, 0.0, 1.0)))
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[:, 0], np.uint8) if len(shares) else hsv[:, 0]


def add_legend(picture: NDArray[np.uint8], entries: Sequence[LegendEntry]) -> NDArray[np.uint8]:
    """The picture with a strip below that explains it; what does not fit into its width is left out.

    Args:
        picture: uint8 (H, W, 3); no pixel of it changes.
        entries: From left to right.

    Returns:
        uint8 (H + `LEGEND_HEIGHT`, W, 3).
    """
    strip = np.full((LEGEND_HEIGHT, picture.shape[1], 3), _BACKGROUND, np.uint8)
    x = _MARGIN
    for text, colours in entries:
        (width, _), _ = cv2.getTextSize(text, _FONT, _FONT_SCALE, 1)
        swatch = 0 if colours is None else max(_SWATCH, len(colours))
        end = x + width + (swatch + _MARGIN // 2 if swatch else 0)
        if end > picture.shape[1]:
            break
        if colours is not None:
            top = (LEGEND_HEIGHT - _SWATCH) // 2
            strip[top : top + _SWATCH, x : x + swatch] = np.resize(colours, (swatch, 3))
            x += swatch + _MARGIN // 2
        cv2.putText(strip, text, (x, _BASELINE), _FONT, _FONT_SCALE, (_INK,) * 3, 1, cv2.LINE_AA)
        x += width + 2 * _MARGIN
    return np.concatenate((picture, strip))
