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
from ...measures.repeatability import Repeatability, repeatability
from ...measures.statistics import mean_of_defined
from ..methods.for_shapes import Detector, Found, Image, detect_all

REPEATABILITY_PAIRS = 100
"""Pairs of each shape: the first images of the test set."""

REPEATABILITY_TOLERANCE = 3.0
"""Pixels, as in the paper's comparison on HPatches (section 7.2)."""

REPEATABILITY_MEASURES = ("one_to_one", "many_to_one", "localization_error")

WARPS = HomographySettings(
    translation=0.1, scale=0.2, rotation=math.pi / 2, perspective=0.2, patch_ratio=0.85, overflow=False
)
"""Without overflow the second view shows nothing that the first does not."""


def repeat_shape(
    detectors: Sequence[Detector], thresholds: Mapping[str, Mapping[str, float]], shape: str, count: int
) -> dict[tuple[str, str], dict[str, float]]:
    """The measures of ``measures.repeatability`` by method and condition, means over the first images of a shape.

    Args:
        detectors: Their keypoints count from their threshold on, all of them.
        thresholds: By method and condition.
        shape: Name of the shape.
        count: Number of pairs.

    Returns:
        ``REPEATABILITY_MEASURES`` (means over the pairs where they are defined, else nan), and the number of
        ``pairs_without_keypoints``.
    """
    pairs: dict[tuple[str, str], list[Repeatability]] = defaultdict(list)
    for start in range(0, count, CHUNK_SIZE):
        indices = range(start, min(start + CHUNK_SIZE, count))
        warps = [sample_homography(TEST.image_size, TEST.generator("warp", shape, index), WARPS) for index in indices]
        views = [_views(shape, index, H_0to1) for index, H_0to1 in zip(indices, warps, strict=True)]
        for condition in CONDITIONS:
            images = [image for pair in views for image in pair[condition]]
            for name, found in detect_all(detectors, images).items():
                pairs[name, condition] += [
                    _compare(found[2 * number : 2 * number + 2], thresholds[name][condition], H_0to1)
                    for number, H_0to1 in enumerate(warps)
                ]
    return {
        key: {name: mean_of_defined([getattr(pair, name) for pair in of_key]) for name in REPEATABILITY_MEASURES}
        | {"pairs_without_keypoints": sum(math.isnan(pair.one_to_one) for pair in of_key)}
        for key, of_key in pairs.items()
    }


def _views(shape: str, index: int, H_0to1: NDArray[np.float64]) -> dict[str, list[Image]]:
    clean0 = TEST.clean(shape, index)[0]
    clean1: Image = warp_image(clean0, H_0to1)
    noisy = [TEST.noisy(clean0, shape, index), TEST.noisy(clean1, shape, index, "noise of view 1")]
    return {"clean": [clean0, clean1], "noise": noisy}


def _compare(found: Sequence[Found], threshold: float, H_0to1: NDArray[np.float64]) -> Repeatability:
    """Both views are cut to what lies outside the border, so that a point counts only where both could have it."""
    width, height = TEST.image_size
    cut = (width - 2 * BORDER, height - 2 * BORDER)
    shift = np.array([[1.0, 0.0, BORDER], [0.0, 1.0, BORDER], [0.0, 0.0, 1.0]])
    H_cut = np.linalg.inv(shift) @ H_0to1 @ shift
    keypoints0, keypoints1 = (keypoints[scores >= threshold] - BORDER for keypoints, scores in found)
    inside0, inside1 = (
        points[np.all((points >= -0.5) & (points <= np.array(cut) - 0.5), axis=1)]
        for points in (keypoints0, keypoints1)
    )
    return repeatability(inside0, inside1, H_cut, cut, cut, REPEATABILITY_TOLERANCE)
