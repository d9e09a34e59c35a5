"""One view of an image for the detector: warped, and in another light."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from homography import sample_homography, valid_mask, warp_image, warp_points

from .photometric import augment_photometric
from .settings import AugmentationSettings

View = tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.bool_]]
"""An image (H, W), the keypoints seen in it, (N, C), and where it shows valid pixels, (H, W).

The columns are x, y and, in pairs of views, the certainty.
"""


def augment(
    image: NDArray[np.uint8],
    keypoints: NDArray[np.float32],
    settings: AugmentationSettings,
    rng: np.random.Generator,
) -> View:
    """Warps an image with its keypoints at random, then changes its light; returns also the valid mask, (H, W).

    Keypoints that leave the image, or come to lie where the mask is invalid, are dropped.
    """
    height, width = image.shape
    mask = np.ones((height, width), np.bool_)
    if rng.random() < settings.homographic_probability:
        H_0to1 = sample_homography((width, height), rng, settings.homographic)
        image = warp_image(image, H_0to1)
        mask = valid_mask((width, height), H_0to1)
        keypoints = keep_visible(warp_points(keypoints, H_0to1), mask)
    return augment_photometric(image, settings.photometric, rng), keypoints, mask


def keep_visible(keypoints: NDArray[np.floating], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Those keypoints (N, C), the first columns x and y, that lie in the image on a valid pixel of its mask (H, W)."""
    height, width = mask.shape
    places = keypoints[:, :2]
    inside = keypoints[((places >= 0) & (places <= (width - 1, height - 1))).all(1)].astype(np.float32)
    column, row = np.rint(inside[:, :2]).astype(np.intp).T
    visible: NDArray[np.float32] = inside[mask[row, column]]
    return visible
