"""Backgrounds with soft blobs and grain, and greys that stand out from them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

MIN_CONTRAST = 32.0
"""Grey levels (of 255) between a shape and what lies beneath its corners."""

STROKE_CONTRAST = 48.0
"""The same for thin strokes, of which antialiasing takes a part."""

_COARSENESS = 4


def draw_background(height: int, width: int, rng: Generator) -> NDArray[np.uint8]:
    """A uint8 (height, width) image of slow changes and soft blobs, free of corners.

    Everything is painted on a surface of a quarter of the size and enlarged, so that no edge is sharper than about
    four pixels.
    """
    rows, columns = height // _COARSENESS + 2, width // _COARSENESS + 2
    base, swing = 255.0 * rng.random(), 40.0 * rng.random() ** 2
    cells = 2 + int(6 * rng.random())
    levels = base + swing * (2.0 * rng.random((cells, cells + 1)) - 1.0)
    coarse = cv2.resize(
        np.clip(levels, 0, 255).astype(np.uint8), (columns, rows), interpolation=cv2.INTER_CUBIC
    )
    blobs = int(12 * rng.random() ** 2)
    for x, y, radius, shift in rng.random((blobs, 4)).tolist():
        centre = (int(x * columns), int(y * rows))
        grey = min(255.0, max(0.0, base + 100.0 * (shift - 0.5)))
        cv2.circle(coarse, centre, 1 + int(radius * rows / 4), grey, cv2.FILLED, cv2.LINE_AA)
    if blobs:
        coarse = cv2.blur(coarse, (3, 3))
    smooth = cv2.resize(coarse, (columns * _COARSENESS, rows * _COARSENESS), interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(smooth[:height, :width])


def add_grain(image: NDArray[np.uint8], rng: Generator) -> NDArray[np.uint8]:
    """Adds uniform noise with a random amplitude up to 14 levels and a grain of one to three pixels to (H, W)."""
    height, width = image.shape
    amplitude = 14.0 * rng.random()
    grain = 1 + int(3 * rng.random())
    rows, columns = -(-height // grain), -(-width // grain)
    noise = np.frombuffer(rng.bytes(rows * columns), np.uint8).reshape(rows, columns)
    if grain > 1:
        noise = cv2.resize(noise, (columns * grain, rows * grain), interpolation=cv2.INTER_LINEAR)[:height, :width]
    return cv2.addWeighted(image, 1.0, noise, amplitude / 127.5, -amplitude)  # type: ignore[return-value]


def contrasting_grey(beneath: NDArray[np.uint8], rng: Generator, contrast: float = MIN_CONTRAST) -> float:
    """A grey at least ``contrast`` levels from every one of the greys ``beneath`` (any shape, not empty).

    Where they leave no room for that, the end of the scale that is farther from their mean.
    """
    low, high = float(beneath.min()), float(beneath.max())
    below, above = max(0.0, low - contrast), max(0.0, 255.0 - high - contrast)
    if below + above == 0.0:
        return 0.0 if float(beneath.mean()) > 127.5 else 255.0
    draw = rng.random() * (below + above)
    return draw if draw < below else 255.0 - (draw - below)


def greys_at(image: NDArray[np.uint8], points: NDArray[np.floating]) -> NDArray[np.uint8]:
    """The (N,) grey levels of an (H, W) image at the pixels nearest to (N, 2) points, clamped to the image."""
    height, width = image.shape
    x = np.clip(np.rint(points[:, 0]), 0, width - 1).astype(np.intp)
    y = np.clip(np.rint(points[:, 1]), 0, height - 1).astype(np.intp)
    return image[y, x]
