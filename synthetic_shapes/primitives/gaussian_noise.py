"""Pure noise: nothing to find, so that a detector learns to leave it alone."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ..canvas import Canvas


def draw_gaussian_noise(canvas: Canvas, rng: Generator) -> NDArray[np.float64]:
    """Covers the background with Gaussian noise of up to 60 levels standard deviation; there are no keypoints."""
    deviation = 5.0 + 55.0 * rng.random()
    noise = rng.standard_normal((canvas.height, canvas.width), np.float32)
    canvas.replace(cv2.scaleAdd(noise, deviation, canvas.background.astype(np.float32)))
    return np.empty((0, 2))
