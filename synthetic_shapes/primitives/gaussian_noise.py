"""Pure noise: nothing to find, so that a detector learns to leave it alone."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ..canvas import Canvas
from ..noise import NOISE_DEVIATION, NOISE_MEAN, noise_bytes


def draw_gaussian_noise(canvas: Canvas, rng: Generator) -> NDArray[np.float64]:
    """Covers the background with Gaussian noise of up to 60 levels standard deviation; there are no keypoints."""
    scale = (5.0 + 55.0 * rng.random()) / NOISE_DEVIATION
    noise = noise_bytes(canvas.height, canvas.width, rng)
    canvas.replace(cv2.addWeighted(canvas.image(), 1.0, noise, scale, -scale * NOISE_MEAN))  # type: ignore[arg-type]
    return np.empty((0, 2))
