"""Photometric augmentation of grey images: what a camera does to light, without moving a corner."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, lru_cache

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

_BANK_SIZE = 1 << 20
_DIRECTIONS = 64
_STEPS_PER_PIXEL = 4


@dataclass(frozen=True)
class PhotometricSettings:
    """How strongly an image is changed; every strength is drawn anew for each image.

    Args:
        probability: Chance of each of the eight changes to be applied to an image.
        brightness: Largest shift, in grey levels of 255.
        contrast: Largest factor on the range of greys; the smallest is one over it.
        shade: Largest darkening by a soft shadow, as a share of the grey.
        motion_blur: Longest motion blur, in pixels.
        gaussian_blur: Largest standard deviation of the Gaussian blur, in pixels.
        speckle_noise: Largest standard deviation of the multiplicative noise, as a share of the grey.
        additive_noise: Largest standard deviation of the additive noise, in grey levels.
        jpeg_quality: Lowest JPEG quality.
    """

    probability: float = 0.5
    brightness: float = 50.0
    contrast: float = 1.7
    shade: float = 0.5
    motion_blur: float = 5.0
    gaussian_blur: float = 1.2
    speckle_noise: float = 0.2
    additive_noise: float = 20.0
    jpeg_quality: int = 30

    def __post_init__(self) -> None:
        if not 0.0 <= self.probability <= 1.0:
            raise ValueError(f"probability must be in [0, 1], got {self.probability}")
        if not 1.0 <= self.contrast < math.inf:
            raise ValueError(f"contrast must be at least 1 and finite, got {self.contrast}")
        if not 0.0 <= self.shade <= 1.0:
            raise ValueError(f"shade must be in [0, 1], got {self.shade}")
        if not 1 <= self.jpeg_quality <= 95:
            raise ValueError(f"jpeg_quality must be in 1..95, got {self.jpeg_quality}")
        for name in ("brightness", "motion_blur", "gaussian_blur", "speckle_noise", "additive_noise"):
            if not 0.0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be finite and not negative, got {getattr(self, name)}")


def augment_photometric(image: NDArray[np.uint8], settings: PhotometricSettings, rng: Generator) -> NDArray[np.uint8]:
    """Changes a uint8 (H, W) image of at least one pixel; the same generator state gives the same bytes.

    Light first (shade, contrast, brightness), then the lens (blurs), then the sensor (speckle and additive noise), then
    the file (JPEG).

    Raises:
        TypeError: The image is not of type uint8.
        ValueError: It is not two-dimensional, or empty.
    """
    if image.dtype != np.uint8:
        raise TypeError(f"image must be uint8, got {image.dtype}")
    if image.ndim != 2 or image.size == 0:
        raise ValueError(f"image must be (H, W) and not empty, got shape {image.shape}")
    draws = rng.random(16).tolist()
    applied, strength = [draw < settings.probability for draw in draws[:8]], draws[8:]
    levels: cv2.typing.MatLike = image.astype(np.float32)
    if applied[0]:
        levels = cv2.multiply(levels, _shade(image.shape, settings.shade * strength[0], rng))
    if applied[1] or applied[2]:
        factor = settings.contrast ** (2.0 * strength[1] - 1.0) if applied[1] else 1.0
        shift = settings.brightness * (2.0 * strength[2] - 1.0) if applied[2] else 0.0
        levels = _change_light(levels, factor, shift)
    if applied[3]:
        # A limited number of kernels, which are made once.
        length = max(1.0, round(_STEPS_PER_PIXEL * settings.motion_blur * strength[3]) / _STEPS_PER_PIXEL)
        kernel = motion_kernel(length, math.pi * int(_DIRECTIONS * rng.random()) / _DIRECTIONS)
        levels = cv2.filter2D(levels, -1, kernel, borderType=cv2.BORDER_REPLICATE)
    if applied[4]:
        levels = _gaussian_blur(levels, settings.gaussian_blur * strength[4])
    if applied[5]:
        noise = cv2.multiply(levels, _noise(image.shape, rng), scale=settings.speckle_noise * strength[5])
        levels = cv2.add(levels, noise)
    if applied[6]:
        levels = cv2.scaleAdd(_noise(image.shape, rng), settings.additive_noise * strength[6], levels)
    # Rounds and clips to 0..255.
    result = cv2.addWeighted(levels, 1.0, levels, 0.0, 0.0, dtype=cv2.CV_8U)
    if applied[7]:
        result = _through_jpeg(result, round(settings.jpeg_quality + (95 - settings.jpeg_quality) * strength[7]))
    return result  # type: ignore[return-value]


@lru_cache(maxsize=2048)
def motion_kernel(length: float, angle: float) -> NDArray[np.float32]:
    """A straight stroke of ``length`` pixels in the direction ``angle`` (radians), read-only (K, K) with sum 1.

    Its centroid is the kernel's centre, so a blurred corner stays where it was.
    """
    reach = max(0.0, (length - 1.0) / 2.0)
    radius = max(1, math.ceil(reach))
    kernel = np.zeros((2 * radius + 1, 2 * radius + 1), np.float32)
    for offset in np.linspace(-reach, reach, 4 * radius + 1).tolist():
        x, y = radius + offset * math.cos(angle), radius + offset * math.sin(angle)
        column, row = min(int(x), 2 * radius - 1), min(int(y), 2 * radius - 1)
        fx, fy = x - column, y - row
        kernel[row, column] += (1 - fx) * (1 - fy)
        kernel[row, column + 1] += fx * (1 - fy)
        kernel[row + 1, column] += (1 - fx) * fy
        kernel[row + 1, column + 1] += fx * fy
    kernel /= kernel.sum()
    kernel.flags.writeable = False
    return kernel


def _through_jpeg(image: cv2.typing.MatLike, quality: int) -> cv2.typing.MatLike:
    """A uint8 (H, W) image as it comes back from a JPEG file."""
    encoded = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, quality))[1]
    decoded = cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE)
    if decoded is None:
        raise RuntimeError(f"OpenCV could not read back a JPEG of shape {image.shape}")
    return decoded


def _gaussian_blur(levels: cv2.typing.MatLike, deviation: float) -> cv2.typing.MatLike:
    """Blurs by a Gaussian that is cut off at two standard deviations (pixels) or more."""
    side = 2 * max(1, math.ceil(2.0 * deviation)) + 1
    sigma = max(deviation, 1e-3)
    return cv2.GaussianBlur(levels, (side, side), sigma, borderType=cv2.BORDER_REPLICATE)


def _change_light(levels: cv2.typing.MatLike, factor: float, shift: float) -> cv2.typing.MatLike:
    """Scales the distance from the middle of the range and shifts it, as far as the range stays within 0..255.

    Saturation would wipe out corners that are still labelled.
    """
    low, high = cv2.minMaxLoc(levels)[:2]
    factor = min(factor, 255.0 / max(high - low, 1.0))
    spread = factor * (high - low)
    target = min(max((low + high - spread) / 2.0 + shift, 0.0), 255.0 - spread)
    return cv2.addWeighted(levels, factor, levels, 0.0, target - factor * low)


def _shade(shape: tuple[int, ...], strength: float, rng: Generator) -> cv2.typing.MatLike:
    """A smooth (H, W) field of factors from 1 - ``strength`` to 1."""
    coarse = 1.0 - strength * rng.random((3, 4), np.float32)
    return cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)


@cache
def _noise_bank() -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal(_BANK_SIZE, np.float32)


def _noise(shape: tuple[int, ...], rng: Generator) -> NDArray[np.float32]:
    """Standard normal noise (H, W): a random stretch of a fixed bank, which is an order faster than fresh draws."""
    count = shape[0] * shape[1]
    if count > _BANK_SIZE // 2:
        return rng.standard_normal((shape[0], shape[1]), np.float32)
    start = int(rng.random() * (_BANK_SIZE - count))
    return _noise_bank()[start : start + count].reshape(shape)
