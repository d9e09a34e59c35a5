"""One view of an image for the detector: warped, and in another light."""

from __future__ import annotations

import numpy as np

from homography import sample_homography, warp_image, warp_points

from .photometric import augment_photometric
from .samples import TrainingSample, keep_visible, warp_mask
from .settings import AugmentationSettings


def augment(sample: TrainingSample, settings: AugmentationSettings, rng: np.random.Generator) -> TrainingSample:
    """Warps an image with its keypoints at random, then changes its light.

    Keypoints that leave the image, or come to lie where the mask is invalid, are dropped.
    """
    if rng.random() < settings.homographic_probability:
        height, width = sample.image.shape
        H_0to1 = sample_homography((width, height), rng, settings.homographic)
        warped = TrainingSample(
            warp_image(sample.image, H_0to1),
            warp_points(sample.keypoints, H_0to1),
            sample.certainties,
            warp_mask(sample.valid_mask, H_0to1, (width, height)),
        )
        sample = keep_visible(warped)
    return sample._replace(image=augment_photometric(sample.image, settings.photometric, rng))
