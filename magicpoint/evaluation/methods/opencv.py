"""OpenCV's methods, each defined once, and the two sets of settings with which they are compared.

`ON_SHAPES` are the settings, of some that were tried, with the largest average precision at 2 px on the validation
images of synthetic shapes; `ON_PAIRS` those with which the methods do best on real pairs of photographs. To add a
method, define it here and name it in the sets in which it is to be compared.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import cv2
import numpy as np

from .base import Floats, Image, PairsMethod, Selection, ShapesMethod
from .on_pairs import KeypointsOnPairs, PeaksOnPairs, RandomPoints
from .on_shapes import KeypointsOnShapes, PeaksOnShapes


def harris(image: Image, block_size: int, aperture: int, k: float) -> Floats:
    """The corner measure of Harris and Stephens (1988), (H, W).

    Args:
        image: uint8 (H, W).
        block_size: Side of the window over which the gradients are summed, in pixels.
        aperture: Side of the Sobel filter.
        k: The weight of the squared trace.
    """
    return np.asarray(cv2.cornerHarris(image, block_size, aperture, k), np.float32)


def shi_tomasi(image: Image, block_size: int, aperture: int) -> Floats:
    """The smaller eigenvalue of the gradients' second moments (Shi and Tomasi, 1994), (H, W).

    Args:
        image: uint8 (H, W).
        block_size: Side of the window over which the gradients are summed, in pixels.
        aperture: Side of the Sobel filter.
    """
    return np.asarray(cv2.cornerMinEigenVal(image, block_size, ksize=aperture), np.float32)


# The type stubs of OpenCV 5 lack what its module has, here and below.


def fast(threshold: int) -> Any:
    """FAST-9 (Rosten and Drummond, 2006), scored by the largest threshold at which a corner is one.

    Args:
        threshold: Smallest difference in grey levels.
    """
    return cv2.FastFeatureDetector_create(threshold=threshold)  # type: ignore[attr-defined]


def orb(features: int, scale_factor: float, levels: int, edge_threshold: int, fast_threshold: int) -> Any:
    """ORB (Rublee and others, 2011): FAST in a pyramid, scored by the Harris measure.

    Args:
        features: Largest number of keypoints, which it distributes over the levels: asked for many, of which the best
            are kept, its matches are worse.
        scale_factor: Ratio of two levels of the pyramid.
        levels: Their number; OpenCV's default is 8.
        edge_threshold: Border of each level without keypoints, in pixels; OpenCV's default is 31.
        fast_threshold: Smallest difference in grey levels; OpenCV's default is 20.
    """
    return cv2.ORB_create(  # type: ignore[attr-defined]
        nfeatures=features,
        scaleFactor=scale_factor,
        nlevels=levels,
        edgeThreshold=edge_threshold,
        fastThreshold=fast_threshold,
    )


def sift(
    contrast_threshold: float,
    edge_threshold: float = 10.0,
    sigma: float = 1.6,
    precise_upscale: bool = True,
    features: int = 0,
) -> Any:
    """SIFT (Lowe, 2004): extrema of differences of Gaussians, scored by their contrast.

    Args:
        contrast_threshold: Smallest contrast; OpenCV's default is 0.04.
        edge_threshold: Largest ratio of the principal curvatures.
        sigma: Blur of the first level, in pixels.
        precise_upscale: Without it every keypoint is a quarter of a pixel off.
        features: Largest number of keypoints; 0 is no limit.
    """
    return cv2.SIFT_create(  # type: ignore[attr-defined]
        nfeatures=features,
        contrastThreshold=contrast_threshold,
        edgeThreshold=edge_threshold,
        sigma=sigma,
        enable_precise_upscale=precise_upscale,
    )


def akaze(threshold: float) -> Any:
    """AKAZE (Alcantarilla and others, 2013) with its binary descriptor; OpenCV 5 has left it out.

    Args:
        threshold: Smallest response; OpenCV's default is 0.001.
    """
    return cv2.AKAZE_create(threshold=threshold)  # type: ignore[attr-defined]


ON_SHAPES: dict[str, ShapesMethod] = {
    "fast": KeypointsOnShapes(partial(fast, threshold=10), refinement=5),
    "harris": PeaksOnShapes(partial(harris, block_size=3, aperture=3, k=0.04), smallest=1e-6, refinement=5),
    "shi-tomasi": PeaksOnShapes(partial(shi_tomasi, block_size=3, aperture=3), smallest=1e-3, refinement=5),
    # With 8 levels the average precision is a third lower, as the coarse ones are imprecise; the default border leaves
    # little of an image of 120x160.
    "orb": KeypointsOnShapes(
        partial(orb, features=2000, scale_factor=1.2, levels=4, edge_threshold=4, fast_threshold=10), refinement=5
    ),
    "sift": KeypointsOnShapes(partial(sift, contrast_threshold=0.01, edge_threshold=10.0, sigma=1.6)),
}
"""The methods that are compared on synthetic shapes, by name."""


def _fast_on_pairs(selection: Selection, threshold: int) -> Any:
    return fast(threshold)


def _orb_on_pairs(
    selection: Selection, scale_factor: float, levels: int, fast_threshold: int, edge_threshold: int, candidates: int
) -> Any:
    """Where the suppression chooses, and no descriptors are wanted, it finds so many times the wanted number, and the
    selection's border, which is narrower, leaves more to choose from.
    """
    if selection.descriptors:
        return orb(selection.max_keypoints, scale_factor, levels, edge_threshold, fast_threshold)
    return orb(selection.max_keypoints * candidates, scale_factor, levels, selection.border, fast_threshold)


def _sift_on_pairs(selection: Selection, contrast_threshold: float, precise_upscale: bool) -> Any:
    # Describing thousands that are dropped afterwards would take most of the time; the border takes few.
    features = 2 * selection.max_keypoints if selection.descriptors else 0
    return sift(contrast_threshold, precise_upscale=precise_upscale, features=features)


def _akaze_on_pairs(selection: Selection, threshold: float) -> Any:
    return akaze(threshold)


ON_PAIRS: dict[str, PairsMethod] = {
    # OpenCV's default contrast of 0.04 finds too few keypoints in some images.
    "sift": KeypointsOnPairs(partial(_sift_on_pairs, contrast_threshold=0.01, precise_upscale=True), True),
    "orb": KeypointsOnPairs(
        partial(_orb_on_pairs, scale_factor=1.2, levels=8, fast_threshold=10, edge_threshold=31, candidates=10), True
    ),
    **(
        {"akaze": KeypointsOnPairs(partial(_akaze_on_pairs, threshold=1e-4), True)}
        if hasattr(cv2, "AKAZE_create")
        else {}
    ),
    # So low that the number of keypoints decides.
    "fast": KeypointsOnPairs(partial(_fast_on_pairs, threshold=2), False),
    # Windows of 5 are as good.
    "harris": PeaksOnPairs(partial(harris, block_size=3, aperture=3, k=0.04)),
    "shi-tomasi": PeaksOnPairs(partial(shi_tomasi, block_size=3, aperture=3)),
    "random": RandomPoints(),
}
"""The methods that are compared on pairs of photographs, those that this OpenCV has, by name; and chance."""
