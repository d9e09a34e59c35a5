"""What is compared on image pairs, behind one call: networks, OpenCV's features, and random points.

The classical settings are those, of some that were tried on real pairs, with which the methods do best. They differ
from those in `for_shapes`, which do best on synthetic corners: there the refinement by `cv2.cornerSubPix` is a gain, on
photographs it moves keypoints apart and costs 2 to 7 points of repeatability. A parabola through the peak costs none.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import cv2
import numpy as np

from ...core.types import Features
from .selection import Detect, Image, Selection, prepare_opencv, select_peaks, select_points


class PairMethod(Protocol):
    """A way to find the keypoints of an image."""

    @property
    def has_descriptors(self) -> bool:
        """Whether it can describe the keypoints, so that they can be matched."""

    def settings(self) -> dict[str, Any]:
        """All that decides its result besides the selection, as plain values."""

    def prepare(self, selection: Selection) -> Detect:
        """The function from a uint8 (H, W) image to its features, on the CPU, the best first."""


@dataclass(frozen=True)
class _Settings:
    """A method whose fields are all its settings."""

    has_descriptors: ClassVar[bool] = False

    def settings(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class Harris(_Settings):
    """The corner measure of Harris and Stephens (1988).

    Args:
        block_size: Side of the window over which the gradients are summed, in pixels; 5 is as good.
        aperture: Side of the Sobel filter.
        k: The weight of the squared trace.
    """

    block_size: int = 3
    aperture: int = 3
    k: float = 0.04

    def prepare(self, selection: Selection) -> Detect:
        return lambda image: select_peaks(cv2.cornerHarris(image, self.block_size, self.aperture, self.k), selection)


@dataclass(frozen=True)
class ShiTomasi(_Settings):
    """The smaller eigenvalue of the gradients' second moments (Shi and Tomasi, 1994).

    Args:
        block_size: Side of the window over which the gradients are summed, in pixels; 5 is as good.
        aperture: Side of the Sobel filter.
    """

    block_size: int = 3
    aperture: int = 3

    def prepare(self, selection: Selection) -> Detect:
        return lambda image: select_peaks(cv2.cornerMinEigenVal(image, self.block_size, ksize=self.aperture), selection)


@dataclass(frozen=True)
class Fast(_Settings):
    """FAST-9 (Rosten and Drummond, 2006), scored by the largest threshold at which a corner is one.

    Args:
        threshold: Smallest difference in grey levels; low enough that the number of keypoints decides.
    """

    threshold: int = 2

    def prepare(self, selection: Selection) -> Detect:
        # The type stubs of OpenCV 5 lack what its module has, here and below.
        detector = cv2.FastFeatureDetector_create(threshold=self.threshold)  # type: ignore[attr-defined]
        return prepare_opencv(detector, selection)


@dataclass(frozen=True)
class Sift(_Settings):
    """SIFT (Lowe, 2004), scored by contrast.

    Args:
        contrast_threshold: Smallest contrast; OpenCV's default of 0.04 finds too few keypoints in some images.
        precise_upscale: Without it every keypoint is a quarter of a pixel off.
    """

    has_descriptors: ClassVar[bool] = True
    contrast_threshold: float = 0.01
    precise_upscale: bool = True

    def prepare(self, selection: Selection) -> Detect:
        detector = cv2.SIFT_create(  # type: ignore[attr-defined]
            # Describing thousands that are dropped afterwards would take most of the time; the border takes few.
            nfeatures=2 * selection.max_keypoints if selection.descriptors else 0,
            contrastThreshold=self.contrast_threshold,
            enable_precise_upscale=self.precise_upscale,
        )
        return prepare_opencv(detector, selection)


@dataclass(frozen=True)
class Orb(_Settings):
    """ORB (Rublee and others, 2011), scored by the Harris measure.

    It distributes the number of keypoints that it is asked for over the levels of its pyramid: asked for many, of which
    the best are kept, its matches are worse.

    Args:
        scale_factor: Ratio of two levels of the pyramid.
        levels: Their number.
        fast_threshold: Smallest difference in grey levels; OpenCV's default is 20.
        edge_threshold: Border of each level without keypoints, in pixels; OpenCV's default. Where the suppression
            chooses, and no descriptors are wanted, it is the selection's border, which leaves more to choose from.
        candidates: How many times the wanted number it finds where the suppression chooses among them.
    """

    has_descriptors: ClassVar[bool] = True
    scale_factor: float = 1.2
    levels: int = 8
    fast_threshold: int = 10
    edge_threshold: int = 31
    candidates: int = 10

    def prepare(self, selection: Selection) -> Detect:
        detector = cv2.ORB_create(  # type: ignore[attr-defined]
            nfeatures=selection.max_keypoints * (1 if selection.descriptors else self.candidates),
            scaleFactor=self.scale_factor,
            nlevels=self.levels,
            fastThreshold=self.fast_threshold,
            edgeThreshold=self.edge_threshold if selection.descriptors else selection.border,
        )
        return prepare_opencv(detector, selection)


@dataclass(frozen=True)
class Akaze(_Settings):
    """AKAZE (Alcantarilla and others, 2013) with its binary descriptor; OpenCV 5 has left it out.

    Args:
        threshold: Smallest response; OpenCV's default is 0.001.
    """

    has_descriptors: ClassVar[bool] = True
    threshold: float = 1e-4

    def prepare(self, selection: Selection) -> Detect:
        return prepare_opencv(cv2.AKAZE_create(threshold=self.threshold), selection)  # type: ignore[attr-defined]


@dataclass(frozen=True)
class RandomPoints(_Settings):
    """Uniform over the image, in an order that is random too; the image's content is the seed.

    Args:
        density: Points for each pixel before the suppression.
    """

    density: float = 0.05

    def prepare(self, selection: Selection) -> Detect:
        def detect(image: Image) -> Features:
            generator = np.random.default_rng(list(hashlib.sha256(image.tobytes()).digest()))
            size = np.array(image.shape[::-1])
            points = generator.random((int(self.density * image.size), 2)) * size - 0.5
            return select_points(image, points.astype(np.float32), None, selection)

        return detect


METHODS: dict[str, Callable[[], PairMethod]] = {
    "sift": Sift,
    "orb": Orb,
    **({"akaze": Akaze} if hasattr(cv2, "AKAZE_create") else {}),
    "fast": Fast,
    "harris": Harris,
    "shi-tomasi": ShiTomasi,
    "random": RandomPoints,
}
"""The methods that this OpenCV has, by name."""
