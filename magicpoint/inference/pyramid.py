"""Keypoints at several scales of an image: what is seen from nearer or farther is found again."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from ..core.errors import InputError
from ..core.grid import CELL_SIZE
from ..core.types import Features
from ..io.masks import shrink_mask

OCTAVES = (1.0, 0.5, 0.25)
"""Scales with which images match up to a factor of six in size; they cost a third more than the image alone."""

LARGEST_SCALE = 4.0

Mask = NDArray[np.bool_] | None
Find = Callable[[NDArray[np.float32], Mask], Features]


def check_scales(scales: Sequence[float]) -> tuple[float, ...]:
    """The scales as floats.

    Raises:
        InputError: There is none, or one is not in (0, 4].
    """
    if not scales or not all(0.0 < scale <= LARGEST_SCALE for scale in scales):
        raise InputError(f"scales must be in (0, {LARGEST_SCALE:g}], got {list(scales)}")
    return tuple(map(float, scales))


def find_at_scales(
    find: Find, grey: NDArray[np.float32], mask: Mask, scales: Sequence[float], most: int | None
) -> Features:
    """Find the keypoints of an image at several of its sizes; the best of all together are kept.

    Nothing is suppressed between scales: a corner that is seen at two has two descriptors, and another image may show
    it at either. (Suppressing the weaker of two within 2 pixels lost a tenth to a third of nine pairs at a factor of
    six.)

    Args:
        find: Finds the keypoints of a grey image (H, W) where a mask (H, W), unless it is None, is True.
        grey: float32 (H, W) in [0, 1].
        mask: Of it.
        scales: Factors on the image's size; where a side becomes shorter than a cell, 8 pixels, a scale is left out.
        most: So many keypoints are kept; None keeps all.

    Returns:
        Positions in pixels of the image, and `keypoint_scales`: how many of its pixels are one of the image in which
        a keypoint was found, 2 at the scale 0.5.
    """
    height, width = grey.shape
    sizes = dict.fromkeys((round(width * scale), round(height * scale)) for scale in scales)
    usable = [size for size in sizes if min(size) >= CELL_SIZE] or [(width, height)]
    found = [_at_size(find, grey, mask, size) for size in usable]
    scores = torch.cat([features.keypoint_scores for features in found])
    best = scores.argsort(descending=True, stable=True)[:most]

    def together(name: str) -> torch.Tensor:
        return torch.cat([getattr(features, name) for features in found])[best]

    descriptors = None if found[0].descriptors is None else together("descriptors")
    together_scales = together("keypoint_scales")
    return Features(together("keypoints"), scores[best], descriptors, (width, height), keypoint_scales=together_scales)


def _at_size(find: Find, grey: NDArray[np.float32], mask: Mask, image_size: tuple[int, int]) -> Features:
    """Features of an image at another size, with positions in pixels of the image."""
    height, width = grey.shape
    resized = resize_grey(grey, image_size)
    of_mask = None if mask is None else shrink_mask(mask, resized.shape)
    features = find(resized, of_mask).at_size((width, height))
    scale = (width * height / (image_size[0] * image_size[1])) ** 0.5
    return dataclasses.replace(features, keypoint_scales=torch.full_like(features.keypoint_scores, scale))


def resize_grey(grey: NDArray[np.float32], image_size: tuple[int, int]) -> NDArray[np.float32]:
    """A grey (H, W) in [0, 1] at another size (W, H), averaged over areas where that is smaller."""
    height, width = grey.shape
    if image_size == (width, height):
        return grey
    smaller = image_size[0] < width
    resized = cv2.resize(grey, image_size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)
    return np.asarray(resized, np.float32).clip(0.0, 1.0)
