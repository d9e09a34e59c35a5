"""Photometric augmentation of grey images: what a camera does to light, without moving a corner.

Each change is a function and a row of `CHANGES`. To add one, write a function beside the others, give
`PhotometricSettings` a field for its largest strength that is 0 by default, and add a row that is drawn `if_wanted`:
the images of those who do not want it stay as they were, to the byte.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.random import Generator
from numpy.typing import NDArray

from synthetic_shapes.noise import normal_noise

from ..core.settings import check_kinds, check_range, check_whole

_DIRECTIONS = 64
_STEPS_PER_PIXEL = 4
_BEST_JPEG = 95
_UNCHANGED = 0.5


@dataclass(frozen=True)
class PhotometricSettings:
    """How strongly an image is changed; every strength is drawn anew for each image.

    Args:
        probability: Chance of each of the changes to be applied to an image.
        brightness: Largest shift, in grey levels of 255.
        contrast: Largest factor on the range of greys.
        lowest_contrast: Smallest factor on the range of greys; null stands for one over the largest.
        shade: Largest darkening by a soft shadow, as a share of the grey.
        motion_blur: Longest motion blur, in pixels.
        gaussian_blur: Largest standard deviation of the Gaussian blur, in pixels.
        speckle_noise: Largest standard deviation of the multiplicative noise, as a share of the grey.
        additive_noise: Largest standard deviation of the additive noise, in grey levels.
        salt_and_pepper: Largest share of the pixels that turn white or black.
        jpeg_quality: Lowest JPEG quality.
    """

    probability: float = 0.5
    brightness: float = 50.0
    contrast: float = 1.7
    lowest_contrast: float | None = None
    shade: float = 0.5
    motion_blur: float = 5.0
    gaussian_blur: float = 1.2
    speckle_noise: float = 0.2
    additive_noise: float = 20.0
    salt_and_pepper: float = 0.0
    jpeg_quality: int = 30

    def __post_init__(self) -> None:
        check_kinds(self)
        check_range(self, "[0, 1]", "probability", "shade", "salt_and_pepper")
        check_range(self, "[1, 1000]", "contrast")
        if self.lowest_contrast is not None:
            check_range(self, "(0, 1]", "lowest_contrast")
        check_range(self, "[0, 255]", "brightness", "motion_blur", "gaussian_blur", "additive_noise")
        check_range(self, "[0, 10]", "speckle_noise")
        check_whole(self, 1, "jpeg_quality", most=_BEST_JPEG)


def augment_photometric(image: NDArray[np.uint8], settings: PhotometricSettings, rng: Generator) -> NDArray[np.uint8]:
    """Changes a uint8 (H, W) image of at least one pixel; the same generator state gives the same bytes.

    Light first, then the lens, then the sensor, then the file: the order of `CHANGES`.

    Raises:
        TypeError: The image is not of type uint8.
        ValueError: It is not two-dimensional, or empty.

    Examples:
        >>> image = np.full((48, 64), 100, np.uint8)
        >>> changed = augment_photometric(image, PhotometricSettings(), np.random.default_rng(0))
        >>> changed.shape, changed.dtype
        ((48, 64), dtype('uint8'))
    """
    if image.dtype != np.uint8:
        raise TypeError(f"image must be uint8, got {image.dtype}")
    if image.ndim != 2 or image.size == 0:
        raise ValueError(f"image must be (H, W) and not empty, got shape {image.shape}")
    strengths = _draw_strengths(settings, rng)
    levels: MatLike = image.astype(np.float32)
    for change in CHANGES:
        if not strengths.keys().isdisjoint(change.draws):
            levels = change.apply(levels, settings, strengths, rng)
    return _to_bytes(levels)


def _draw_strengths(settings: PhotometricSettings, rng: Generator) -> dict[str, float]:
    """The strength, in [0, 1), of each change that is applied, by the name of its setting."""
    wanted = [name for name in _IF_WANTED if getattr(settings, name) > 0]
    strengths: dict[str, float] = {}
    for names in filter(None, (_ALWAYS, wanted)):
        draws = rng.random(2 * len(names)).tolist()
        for name, chance, strength in zip(names, draws, draws[len(names) :], strict=False):
            if chance < settings.probability:
                strengths[name] = strength
    return strengths


def _shade(levels: MatLike, settings: PhotometricSettings, drawn: Mapping[str, float], rng: Generator) -> MatLike:
    """A soft shadow: a smooth field of factors down to one less the strength."""
    coarse = 1.0 - settings.shade * drawn["shade"] * rng.random((3, 4), np.float32)
    field = cv2.resize(coarse, (levels.shape[1], levels.shape[0]), interpolation=cv2.INTER_LINEAR)
    return cv2.multiply(levels, field)


def _light(levels: MatLike, settings: PhotometricSettings, drawn: Mapping[str, float], rng: Generator) -> MatLike:
    """Contrast and brightness, at once, since they share the range that there is.

    Scales the distance from the middle of the range and shifts it, as far as the range stays within 0..255: saturation
    would wipe out corners that are still labelled.
    """
    factor = _contrast_factor(settings, drawn["contrast"]) if "contrast" in drawn else 1.0
    shift = settings.brightness * (2.0 * drawn.get("brightness", _UNCHANGED) - 1.0)
    low, high = cv2.minMaxLoc(levels)[:2]
    factor = min(factor, 255.0 / max(high - low, 1.0))
    spread = factor * (high - low)
    target = min(max((low + high - spread) / 2.0 + shift, 0.0), 255.0 - spread)
    return cv2.addWeighted(levels, factor, levels, 0.0, target - factor * low)


def _contrast_factor(settings: PhotometricSettings, strength: float) -> float:
    """From the smallest factor at a strength of 0 to the largest at 1, even in its logarithm."""
    if settings.lowest_contrast is None:
        return float(settings.contrast ** (2.0 * strength - 1.0))
    return float(settings.lowest_contrast ** (1.0 - strength) * settings.contrast**strength)


def _motion_blur(levels: MatLike, settings: PhotometricSettings, drawn: Mapping[str, float], rng: Generator) -> MatLike:
    """A straight stroke in a random direction; of a limited number of kernels, which are made once."""
    length = max(1.0, round(_STEPS_PER_PIXEL * settings.motion_blur * drawn["motion_blur"]) / _STEPS_PER_PIXEL)
    kernel = motion_kernel(length, math.pi * int(_DIRECTIONS * rng.random()) / _DIRECTIONS)
    return cv2.filter2D(levels, -1, kernel, borderType=cv2.BORDER_REPLICATE)


def _gaussian_blur(
    levels: MatLike, settings: PhotometricSettings, drawn: Mapping[str, float], rng: Generator
) -> MatLike:
    """A Gaussian that is cut off at two standard deviations or more."""
    deviation = settings.gaussian_blur * drawn["gaussian_blur"]
    side = 2 * max(1, math.ceil(2.0 * deviation)) + 1
    return cv2.GaussianBlur(levels, (side, side), max(deviation, 1e-3), borderType=cv2.BORDER_REPLICATE)


def _speckle_noise(
    levels: MatLike, settings: PhotometricSettings, drawn: Mapping[str, float], rng: Generator
) -> MatLike:
    """Normal noise in proportion to the grey."""
    deviation = settings.speckle_noise * drawn["speckle_noise"]
    return cv2.add(levels, cv2.multiply(levels, _noise_for(levels, rng), scale=deviation))


def _additive_noise(
    levels: MatLike, settings: PhotometricSettings, drawn: Mapping[str, float], rng: Generator
) -> MatLike:
    """Normal noise, the same for every grey."""
    return cv2.scaleAdd(_noise_for(levels, rng), settings.additive_noise * drawn["additive_noise"], levels)


def _salt_and_pepper(
    levels: MatLike, settings: PhotometricSettings, drawn: Mapping[str, float], rng: Generator
) -> MatLike:
    """Pixels at random places to white or black, each as likely as the other.

    A place may be drawn twice, so that a little less than the share is changed.
    """
    changed = np.array(levels)
    places = rng.integers(0, changed.size, round(settings.salt_and_pepper * drawn["salt_and_pepper"] * changed.size))
    changed.reshape(-1)[places] = 255 * rng.integers(0, 2, len(places))
    return changed


def _jpeg(levels: MatLike, settings: PhotometricSettings, drawn: Mapping[str, float], rng: Generator) -> MatLike:
    """What comes back from a JPEG file, between the lowest quality and one without visible loss."""
    quality = round(settings.jpeg_quality + (_BEST_JPEG - settings.jpeg_quality) * drawn["jpeg_quality"])
    encoded = cv2.imencode(".jpg", _to_bytes(levels), (cv2.IMWRITE_JPEG_QUALITY, quality))[1]
    decoded = cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE)
    if decoded is None:
        raise RuntimeError(f"OpenCV could not read back a JPEG of shape {levels.shape}")
    return decoded


class Change(NamedTuple):
    """One row of the table.

    Attributes:
        apply: Takes levels, float32 (H, W) in grey levels of 255, which it may not change in place, the settings, the
            strengths that were drawn, in [0, 1) by name, and a generator for whatever else it draws. Gives levels, or
            bytes where no other change comes behind it.
        draws: The settings for each of which a chance and a strength are drawn. The change is applied where one of
            them has its chance; only these have a strength.
        if_wanted: Draw only where the setting is above 0.
    """

    apply: Callable[[MatLike, PhotometricSettings, Mapping[str, float], Generator], MatLike]
    draws: tuple[str, ...]
    if_wanted: bool = False


CHANGES = (
    # the light
    Change(_shade, ("shade",)),
    Change(_light, ("contrast", "brightness")),
    # the lens
    Change(_motion_blur, ("motion_blur",)),
    Change(_gaussian_blur, ("gaussian_blur",)),
    # the sensor
    Change(_speckle_noise, ("speckle_noise",)),
    Change(_additive_noise, ("additive_noise",)),
    Change(_salt_and_pepper, ("salt_and_pepper",), if_wanted=True),
    # the file
    Change(_jpeg, ("jpeg_quality",)),
)
"""In the order in which they are applied."""

_ALWAYS = [name for change in CHANGES if not change.if_wanted for name in change.draws]
_IF_WANTED = [name for change in CHANGES if change.if_wanted for name in change.draws]


def _noise_for(levels: MatLike, rng: Generator) -> NDArray[np.float32]:
    height, width = levels.shape
    return normal_noise(height, width, rng)


def _to_bytes(levels: MatLike) -> NDArray[np.uint8]:
    """Rounds and clips to 0..255; bytes stay."""
    if levels.dtype == np.uint8:
        return levels  # type: ignore[return-value]
    return cv2.addWeighted(levels, 1.0, levels, 0.0, 0.0, dtype=cv2.CV_8U)  # type: ignore[return-value]


@lru_cache(maxsize=2048)
def motion_kernel(length: float, angle: float) -> NDArray[np.float32]:
    """A straight stroke of `length` pixels in the direction `angle` (radians), read-only (K, K) with sum 1.

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
