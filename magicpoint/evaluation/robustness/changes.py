"""The changes, one at a time, each of a strength that is given and not drawn.

To add one, write a function and a row of `CHANGES`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray

from synthetic_shapes.noise import normal_noise

Image = NDArray[np.uint8]
MIDDLE = 127.5


class View(NamedTuple):
    """A changed image.

    Attributes:
        image: uint8 (h, w).
        H_0to1: float64 (3, 3), from the image as it was to this one.
    """

    image: Image
    H_0to1: NDArray[np.float64]


class Change(NamedTuple):
    """One row of the table.

    Attributes:
        unit: Of the strengths, for the axis of a plot.
        strengths: The first of them leaves the image as it is, or nearly so.
        apply: Takes an image uint8 (H, W), a strength and a generator.
    """

    unit: str
    strengths: tuple[float, ...]
    apply: Callable[[Image, float, np.random.Generator], View]


def _in_place(levels: MatLike) -> View:
    """What moves nothing: grey levels of 255, rounded and cut off."""
    return View(np.rint(np.clip(levels, 0, 255)).astype(np.uint8), np.eye(3))


def _noise(image: Image, strength: float, rng: np.random.Generator) -> View:
    return _in_place(image + strength * normal_noise(image.shape[0], image.shape[1], rng))


def _blur(image: Image, strength: float, rng: np.random.Generator) -> View:
    if not strength:
        return _in_place(image.astype(np.float32))
    return _in_place(cv2.GaussianBlur(image.astype(np.float32), (0, 0), strength, borderType=cv2.BORDER_REPLICATE))


def _brightness(image: Image, strength: float, rng: np.random.Generator) -> View:
    return _in_place(image + np.float32(strength))


def _contrast(image: Image, strength: float, rng: np.random.Generator) -> View:
    return _in_place(MIDDLE + strength * (image - np.float32(MIDDLE)))


def _jpeg(image: Image, strength: float, rng: np.random.Generator) -> View:
    encoded = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, int(strength)))[1]
    return View(np.asarray(cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE), np.uint8), np.eye(3))


def _resized(image: Image, across: float, down: float) -> View:
    """Shrunk by two factors, each new pixel the mean of those that it covers."""
    from homography.warp import resizing  # here, so that the settings can know the changes without torch

    height, width = image.shape
    size = max(8, round(width / across)), max(8, round(height / down))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return View(np.asarray(small, np.uint8), resizing((width, height), size))


def _scale(image: Image, strength: float, rng: np.random.Generator) -> View:
    return _resized(image, strength, strength)


def _tilt(image: Image, strength: float, rng: np.random.Generator) -> View:
    """A picture seen from far away and from the side: across it is shrunk by 1 / cos of the angle.

    This is the tilt of ASIFT (Morel and Yu 2009, section 2.2).
    """
    return _resized(image, 1 / np.cos(np.radians(strength)), 1.0)


def _angle(image: Image, strength: float, rng: np.random.Generator) -> View:
    """Turned around its middle, all of it in view; around it the pixels of its edge go on."""
    height, width = image.shape
    turn = np.radians(strength)
    across = round(width * abs(np.cos(turn)) + height * abs(np.sin(turn)))
    down = round(width * abs(np.sin(turn)) + height * abs(np.cos(turn)))
    H = np.eye(3)
    H[:2] = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), strength, 1.0)
    H[:2, 2] += (across - width) / 2, (down - height) / 2
    turned = cv2.warpAffine(image, H[:2], (across, down), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return View(np.asarray(turned, np.uint8), H)


CHANGES = {
    "noise": Change("standard deviation, grey levels", (0, 5, 10, 20, 40, 60), _noise),
    "blur": Change("standard deviation, pixels", (0, 0.5, 1, 2, 3, 4), _blur),
    "brightness": Change("shift, grey levels", (0, 30, 60, 90, 120, -30, -60, -90, -120), _brightness),
    "contrast": Change("factor", (1, 0.7, 0.5, 0.3, 0.15, 0.05, 1.5, 2, 3), _contrast),
    "jpeg": Change("quality", (95, 70, 50, 30, 15, 5), _jpeg),
    "scale": Change("factor by which it is smaller", (1, 1.25, 1.5, 2, 3, 4), _scale),
    "angle": Change("degrees", (0, 10, 20, 30, 45, 60, 90, 135, 180), _angle),
    "tilt": Change("degrees", (0, 20, 40, 50, 60, 70, 75), _tilt),
}
"""By name. Strengths run from the image as it is to where nothing much is left."""
