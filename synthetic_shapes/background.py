"""Backgrounds with soft blobs and grain."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from .noise import NOISE_DEVIATION, NOISE_MEAN, noise_bytes

MAX_RANGE = 96.0
"""Grey levels (of 255) between the darkest and the lightest place of a background.

So there is always room for greys that stand out from all of it, and every corner that is drawn can be seen.
"""

_COARSENESS = 4


def draw_background(height: int, width: int, rng: Generator) -> NDArray[np.uint8]:
    """A uint8 (height, width) image of slow changes and soft blobs, free of corners.

    Everything is painted on a surface of a quarter of the size and enlarged, so that no edge is sharper than about
    four pixels.
    """
    rows, columns = height // _COARSENESS + 2, width // _COARSENESS + 2
    base, swing = 255.0 * rng.random(), 40.0 * rng.random() ** 2
    cells = 2 + int(6 * rng.random())
    # What rng.bytes gives, at a tenth of its cost.
    words = rng.bit_generator.random_raw(-(-cells * (cells + 1) // 8)).astype("<u8")
    levels = words.view(np.uint8)[: cells * (cells + 1)].reshape(cells, cells + 1)
    coarse = cv2.resize(levels, (columns, rows), interpolation=cv2.INTER_CUBIC)
    coarse = cv2.addWeighted(coarse, swing / 127.5, coarse, 0.0, base - swing)
    blobs = int(12 * rng.random() ** 2)
    if blobs:
        for x, y, radius, shift in rng.random((blobs, 4)).tolist():
            centre = (int(x * columns), int(y * rows))
            grey = min(255.0, max(0.0, base + 100.0 * (shift - 0.5)))
            cv2.circle(coarse, centre, 1 + int(radius * rows / 4), grey, cv2.FILLED, cv2.LINE_AA)
        coarse = cv2.blur(coarse, (3, 3))
    low, high = cv2.minMaxLoc(coarse)[:2]
    if high - low > MAX_RANGE:
        scale = MAX_RANGE / (high - low)
        coarse = cv2.convertScaleAbs(coarse, alpha=scale, beta=low * (1.0 - scale))
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)  # type: ignore[return-value]


def add_grain(image: NDArray[np.uint8], rng: Generator) -> NDArray[np.uint8]:
    """Adds noise of a standard deviation up to 8 levels and a grain of one to three pixels to (H, W)."""
    height, width = image.shape
    deviation = 8.0 * rng.random()
    grain = 1 + int(3 * rng.random())
    noise = noise_bytes(-(-height // grain), -(-width // grain), rng)
    if grain > 1:
        noise = cv2.resize(noise, (width, height), interpolation=cv2.INTER_LINEAR)  # type: ignore[assignment]
    scale = deviation / NOISE_DEVIATION
    return cv2.addWeighted(image, 1.0, noise, scale, -scale * NOISE_MEAN)  # type: ignore[return-value]
