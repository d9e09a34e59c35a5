"""Synthetic images that no training sees, always the same: the validation images and the pinned test set."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synthetic_shapes import SHAPES_WITH_KEYPOINTS, Sample
from synthetic_shapes.sample import render_shape, sample_generator

from .photometric import PhotometricSettings, augment_photometric

SEED = 0

NOISE = PhotometricSettings(
    probability=0.5,
    brightness=50.0,
    contrast=1.7,
    shade=0.5,
    motion_blur=5.0,
    gaussian_blur=1.2,
    speckle_noise=0.2,
    additive_noise=20.0,
    jpeg_quality=30,
)
"""The noise of the noisy images; written out, so that other defaults of the augmentation do not change them."""

HEAVY = PhotometricSettings(
    probability=1.0,
    brightness=50.0,
    contrast=1.0,
    lowest_contrast=0.3,
    shade=0.5,
    motion_blur=7.0,
    gaussian_blur=0.0,
    speckle_noise=0.0,
    additive_noise=12.0,
    salt_and_pepper=0.02,
    jpeg_quality=95,
)
"""Bad light, a moving camera and a poor sensor, all of them in each image."""

CHANGES = {"noise": NOISE, "heavy": HEAVY}
"""What is done to the clean images in each of the other conditions."""

CONDITIONS = ("clean", *CHANGES)


@dataclass(frozen=True)
class ShapeImages:
    """Numbered images of each shape with keypoints.

    Args:
        stream: Name of the images; it must not be one of the training's streams, so that no training sees them.
        size_hw: Height and width in pixels.
    """

    stream: str
    size_hw: tuple[int, int] = (120, 160)

    @property
    def image_size(self) -> tuple[int, int]:
        """(W, H)."""
        return self.size_hw[1], self.size_hw[0]

    def clean(self, shape: str, index: int) -> Sample:
        """Image `index` of a shape."""
        return render_shape(shape, self.size_hw, self.generator("image", shape, index))

    def under(
        self, condition: str, image: NDArray[np.uint8], shape: str, index: int, view: int = 0
    ) -> NDArray[np.uint8]:
        """The image `index` of a shape under one of the `CONDITIONS`, drawn anew for each number of a view."""
        if condition not in CHANGES:
            return image
        purpose = f"{condition} of view {view}" if view else condition
        return augment_photometric(image, CHANGES[condition], self.generator(purpose, shape, index))

    def under_all(self, shape: str, indices: Iterable[int]) -> dict[str, list[Sample]]:
        """The same images under each of the `CONDITIONS`."""
        clean = {index: self.clean(shape, index) for index in indices}
        return {
            condition: [
                sample._replace(image=self.under(condition, sample.image, shape, index))
                for index, sample in clean.items()
            ]
            for condition in CONDITIONS
        }

    def generator(self, purpose: str, shape: str, index: int) -> np.random.Generator:
        """The source of all that is drawn for one purpose and image."""
        return sample_generator(SEED, f"{self.stream} {purpose} {shape}", index)


VALIDATION = ShapeImages("validation")
TEST = ShapeImages("test")
TEST_IMAGES_PER_SHAPE = 1000

CHUNK_SIZE = 50
"""So many images are in memory at a time."""

PINNED_DIGESTS: dict[str, str | None] = {
    "clean": "8f23fd9f30971e8ad223fb6523463271c7e79765dfcf1cea88e773cd5d865cb6",
    "noise": "c38a12c0ca3e36f6e29a64f2ee938be027d8256e9cd5d8fc787d3ce875fcda3b",
    "heavy": "c16a7ebc6f57e79510e399fbd97710eb3375be2aa0223c8feebe8a889f0be0c2",
}
"""What `render_digests()` gives with the versions of constraints.txt: 1000 images of each shape and condition."""


class SampleDigest:
    """SHA-256 over the bytes of images and keypoints in the order in which they are added."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(self, samples: Iterable[Sample]) -> None:
        for image, keypoints in samples:
            self._digest.update(image.tobytes())
            self._digest.update(len(keypoints).to_bytes(4, "little"))
            self._digest.update(keypoints.astype("<f4").tobytes())

    def hexdigest(self) -> str:
        return self._digest.hexdigest()


def render_digests(images_per_shape: int = TEST_IMAGES_PER_SHAPE) -> dict[str, str]:
    """Renders the test set and returns its digest in each condition: shape after shape, image after image."""
    digests = {condition: SampleDigest() for condition in CONDITIONS}
    for shape in SHAPES_WITH_KEYPOINTS:
        for index in range(images_per_shape):
            for condition, samples in TEST.under_all(shape, [index]).items():
                digests[condition].add(samples)
    return {condition: digest.hexdigest() for condition, digest in digests.items()}
