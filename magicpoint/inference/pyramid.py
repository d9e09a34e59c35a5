"""Keypoints at several scales of an image: what is seen from nearer or farther is found again."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from ..core.errors import InputError
from ..core.types import Features
from .extractor import Extractor

OCTAVES = (1.0, 0.5, 0.25)
"""Scales with which images match up to a factor of six in size; they cost a third more than the image alone."""

_SHORTEST_SIDE = 8  # of an image that is still looked at: a cell of the network


def extract_pyramid(extractor: Extractor, grey: NDArray[np.float32], scales: Sequence[float] = OCTAVES) -> Features:
    """Find the keypoints of an image at several of its sizes, each as `Extractor.extract` finds them.

    The best of all scales together are kept. Nothing is suppressed between scales: a corner that is seen at two has two
    descriptors, and another image may show it at either. (Suppressing the weaker of two within 2 pixels lost a tenth to
    a third of nine pairs at a factor of six.)

    Args:
        extractor: Its settings hold at every scale, in pixels of the resized image, but for `max_keypoints`, which is
            the number of all.
        grey: float32 (H, W) in [0, 1].
        scales: Factors on the image's size; where a side becomes shorter than 8 pixels, a scale is left out.

    Returns:
        Positions in pixels of the image, and `keypoint_scales`: how many of its pixels are one of the image in which
        a keypoint was found, 2 at the scale 0.5.

    Raises:
        InputError: There is no scale, or one is not in (0, 4].
    """
    if not scales or not all(0.0 < scale <= 4.0 for scale in scales):
        raise InputError(f"scales must be in (0, 4], got {list(scales)}")
    height, width = grey.shape
    sizes = dict.fromkeys((round(width * scale), round(height * scale)) for scale in scales)
    usable = [size for size in sizes if min(size) >= _SHORTEST_SIDE] or [(width, height)]
    found = [_extract_resized(extractor, grey, size) for size in usable]
    scores = torch.cat([features.keypoint_scores for features in found])
    best = scores.argsort(descending=True, stable=True)[: extractor.settings.max_keypoints]

    def together(name: str) -> torch.Tensor:
        return torch.cat([getattr(features, name) for features in found])[best]

    described = found[0].descriptors is not None
    return Features(
        together("keypoints"),
        scores[best],
        together("descriptors") if described else None,
        (width, height),
        keypoint_scales=together("keypoint_scales"),
    )


def _extract_resized(extractor: Extractor, grey: NDArray[np.float32], image_size: tuple[int, int]) -> Features:
    """Features of an image at another size, with positions in pixels of the image."""
    height, width = grey.shape
    features = extractor.extract(_resized(grey, image_size)).at_size((width, height))
    scale = (width * height / (image_size[0] * image_size[1])) ** 0.5
    return dataclasses.replace(features, keypoint_scales=torch.full_like(features.keypoint_scores, scale))


def _resized(grey: NDArray[np.float32], image_size: tuple[int, int]) -> NDArray[np.float32]:
    height, width = grey.shape
    if image_size == (width, height):
        return grey
    smaller = image_size[0] < width
    resized = cv2.resize(grey, image_size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)
    return np.asarray(resized, np.float32).clip(0.0, 1.0)
