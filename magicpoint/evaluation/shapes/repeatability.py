"""Repeatability under known warps: pairs of views of one synthetic image, with noise of their own."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from homography import HomographySettings, sample_homography, warp_image

from ...data.pinned_images import CHUNK_SIZE, CONDITIONS, TEST
from ...measures.detection import BORDER
from ...measures.points import is_inside
from ...measures.repeatability import Repeatability, repeatability
from ...measures.statistics import mean_of_defined, rounded
from ..methods.base import Found, Image, ShapesMethod
from ..methods.on_shapes import detect_all
from .results import ShapeRepeatability

REPEATABILITY_PAIRS = 100
"""Pairs of each shape: the first images of the test set."""

REPEATABILITY_TOLERANCE = 3.0
"""Pixels, as in the paper's comparison on HPatches (section 7.2)."""

WARPS = HomographySettings(
    translation=0.1, scale=0.2, rotation=math.pi / 2, perspective=0.2, patch_ratio=0.85, overflow=False
)
"""Without overflow the second view shows nothing that the first does not."""


def repeat_shape(
    methods: Mapping[str, ShapesMethod], thresholds: Mapping[str, Mapping[str, float]], shape: str, count: int
) -> dict[tuple[str, str], ShapeRepeatability]:
    """The repeatability of methods by method and condition, over the first images of a shape.

    Args:
        methods: By name; their keypoints count from their threshold on, all of them.
        thresholds: By method and condition.
        shape: Name of the shape.
        count: Number of pairs.
    """
    pairs: dict[tuple[str, str], list[Repeatability]] = defaultdict(list)
    for start in range(0, count, CHUNK_SIZE):
        indices = range(start, min(start + CHUNK_SIZE, count))
        warps = [sample_homography(TEST.image_size, TEST.generator("warp", shape, index), WARPS) for index in indices]
        views = [_views(shape, index, H_0to1) for index, H_0to1 in zip(indices, warps, strict=True)]
        for condition in CONDITIONS:
            images = [image for pair in views for image in pair[condition]]
            for name, found in detect_all(methods, images).items():
                pairs[name, condition] += [
                    _compare(found[2 * number : 2 * number + 2], thresholds[name][condition], H_0to1)
                    for number, H_0to1 in enumerate(warps)
                ]
    return {key: _mean(of_key) for key, of_key in pairs.items()}


def _views(shape: str, index: int, H_0to1: NDArray[np.float64]) -> dict[str, list[Image]]:
    clean0 = TEST.clean(shape, index)[0]
    clean1: Image = warp_image(clean0, H_0to1)
    return {
        condition: [TEST.under(condition, image, shape, index, view) for view, image in enumerate((clean0, clean1))]
        for condition in CONDITIONS
    }


def _compare(found: Sequence[Found], threshold: float, H_0to1: NDArray[np.float64]) -> Repeatability:
    """Both views are cut to what lies outside the border, so that a point counts only where both could have it."""
    width, height = TEST.image_size
    cut = (width - 2 * BORDER, height - 2 * BORDER)
    shift = np.array([[1.0, 0.0, BORDER], [0.0, 1.0, BORDER], [0.0, 0.0, 1.0]])
    H_cut = np.linalg.inv(shift) @ H_0to1 @ shift
    shifted = [keypoints[scores >= threshold] - BORDER for keypoints, scores in found]
    inside0, inside1 = (points[is_inside(points, cut)] for points in shifted)
    return repeatability(inside0, inside1, H_cut, cut, cut, REPEATABILITY_TOLERANCE)


def _mean(pairs: Sequence[Repeatability]) -> ShapeRepeatability:
    return ShapeRepeatability(
        rounded(mean_of_defined([pair.one_to_one for pair in pairs])),
        rounded(mean_of_defined([pair.many_to_one for pair in pairs])),
        rounded(mean_of_defined([pair.localization_error for pair in pairs])),
        sum(math.isnan(pair.one_to_one) for pair in pairs),
    )
