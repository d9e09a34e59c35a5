"""The classical detectors from OpenCV behind one call, with settings chosen in their favour.

The settings are those, of some that were tried, with the largest average precision at 2 px on the validation images.
Every method is suppressed alike. What finds corners on whole pixels is then refined between them, and suppressed again,
since the refinement can bring two keypoints to one place.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from ...decoding.nms import non_maximum_suppression

Image = NDArray[np.uint8]
Found = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Keypoints (N, 2), (x, y) in pixels, and scores (N,), the larger the more certain."""

NMS_RADIUS = 4
"""Every method keeps, of the keypoints in a square of this radius in pixels, the one with the highest score."""


class Detector(Protocol):
    """Finds keypoints."""

    @property
    def name(self) -> str:
        """By which its results appear."""

    def settings(self) -> dict[str, Any]:
        """All that decides its result, as plain values."""

    def detect(self, images: Sequence[Image]) -> list[Found]:
        """The keypoints of each uint8 (H, W) image, down to such low scores that precision-recall curves end."""


@dataclass(frozen=True)
class _Classical:
    """A detector whose fields are all its settings."""

    def settings(self) -> dict[str, Any]:
        return {**dataclasses.asdict(self), "nms_radius": NMS_RADIUS}


@dataclass(frozen=True)
class Harris(_Classical):
    """The corner measure of Harris and Stephens (1988).

    Args:
        block_size: Side of the window over which the gradients are summed, in pixels.
        aperture: Side of the Sobel filter.
        k: The weight of the squared trace.
        smallest: Responses up to this are no keypoints; the largest possible one is about 1.
        refinement: Radius of the window of `cv2.cornerSubPix`, in pixels.
    """

    name: ClassVar[str] = "harris"
    block_size: int = 3
    aperture: int = 3
    k: float = 0.04
    smallest: float = 1e-6
    refinement: int = 5

    def detect(self, images: Sequence[Image]) -> list[Found]:
        return [self._detect(image) for image in images]

    def _detect(self, image: Image) -> Found:
        response = np.asarray(cv2.cornerHarris(image, self.block_size, self.aperture, self.k), np.float32)
        return _refined(image, *_peaks(response, self.smallest), self.refinement)


@dataclass(frozen=True)
class ShiTomasi(_Classical):
    """The smaller eigenvalue of the gradients' second moments (Shi and Tomasi, 1994).

    Args:
        block_size: Side of the window over which the gradients are summed, in pixels.
        aperture: Side of the Sobel filter.
        smallest: Responses up to this are no keypoints; the largest possible one is about 1.
        refinement: Radius of the window of `cv2.cornerSubPix`, in pixels.
    """

    name: ClassVar[str] = "shi-tomasi"
    block_size: int = 3
    aperture: int = 3
    smallest: float = 1e-3
    refinement: int = 5

    def detect(self, images: Sequence[Image]) -> list[Found]:
        return [self._detect(image) for image in images]

    def _detect(self, image: Image) -> Found:
        response = np.asarray(cv2.cornerMinEigenVal(image, self.block_size, ksize=self.aperture), np.float32)
        return _refined(image, *_peaks(response, self.smallest), self.refinement)


@dataclass(frozen=True)
class Fast(_Classical):
    """FAST-9 (Rosten and Drummond, 2006), scored by the largest threshold at which a corner is one.

    Args:
        threshold: Smallest difference in grey levels.
        refinement: Radius of the window of `cv2.cornerSubPix`, in pixels.
    """

    name: ClassVar[str] = "fast"
    threshold: int = 10
    refinement: int = 5

    def detect(self, images: Sequence[Image]) -> list[Found]:
        # The type stubs of OpenCV 5 lack what its module has, here and below.
        detector = cv2.FastFeatureDetector_create(  # type: ignore[attr-defined]
            threshold=self.threshold, nonmaxSuppression=True
        )
        return [_refined(image, *_as_arrays(image, detector.detect(image)), self.refinement) for image in images]


@dataclass(frozen=True)
class Orb(_Classical):
    """The detector of ORB (Rublee and others, 2011): FAST in a pyramid, scored by the Harris measure.

    Args:
        features: Largest number of keypoints.
        scale_factor: Ratio of two levels of the pyramid.
        levels: Their number; with OpenCV's 8 the average precision is a third lower, as the coarse ones are imprecise.
        edge_threshold: Border of each level without keypoints, in pixels; the default of 31 leaves little of an image.
        fast_threshold: Smallest difference in grey levels.
        refinement: Radius of the window of `cv2.cornerSubPix`, in pixels.
    """

    name: ClassVar[str] = "orb"
    features: int = 2000
    scale_factor: float = 1.2
    levels: int = 4
    edge_threshold: int = 4
    fast_threshold: int = 10
    refinement: int = 5

    def detect(self, images: Sequence[Image]) -> list[Found]:
        detector = cv2.ORB_create(  # type: ignore[attr-defined]
            nfeatures=self.features,
            scaleFactor=self.scale_factor,
            nlevels=self.levels,
            edgeThreshold=self.edge_threshold,
            fastThreshold=self.fast_threshold,
        )
        return [_refined(image, *_as_arrays(image, detector.detect(image)), self.refinement) for image in images]


@dataclass(frozen=True)
class Sift(_Classical):
    """The detector of SIFT (Lowe, 2004): extrema of differences of Gaussians, scored by their contrast.

    Args:
        contrast_threshold: Smallest contrast; OpenCV's default is 0.04.
        edge_threshold: Largest ratio of the principal curvatures.
        sigma: Blur of the first level, in pixels.
    """

    name: ClassVar[str] = "sift"
    contrast_threshold: float = 0.01
    edge_threshold: float = 10.0
    sigma: float = 1.6

    def detect(self, images: Sequence[Image]) -> list[Found]:
        detector = cv2.SIFT_create(  # type: ignore[attr-defined]
            contrastThreshold=self.contrast_threshold,
            edgeThreshold=self.edge_threshold,
            sigma=self.sigma,
            enable_precise_upscale=True,  # without it, every keypoint is a quarter of a pixel off
        )
        return [_as_arrays(image, detector.detect(image)) for image in images]


CLASSICAL: dict[str, type[Detector]] = {
    Fast.name: Fast,
    Harris.name: Harris,
    ShiTomasi.name: ShiTomasi,
    Orb.name: Orb,
    Sift.name: Sift,
}
"""The detectors by name."""


def detect_all(detectors: Sequence[Detector], images: Sequence[Image]) -> dict[str, list[Found]]:
    """What each detector finds in each image, by its name; a thread each, since OpenCV and torch leave Python free."""
    with ThreadPoolExecutor(max_workers=len(detectors)) as pool:
        found = pool.map(lambda detector: detector.detect(images), detectors)
    return {detector.name: of_detector for detector, of_detector in zip(detectors, found, strict=True)}


def _peaks(response: NDArray[np.float32], smallest: float) -> Found:
    """The pixels of a response map (H, W) that the suppression leaves, and their values."""
    rows, columns = non_maximum_suppression(torch.from_numpy(response)[None], NMS_RADIUS, smallest)[0].numpy().nonzero()
    return np.stack((columns, rows), 1).astype(np.float32), response[rows, columns]


def _as_arrays(image: Image, keypoints: Sequence[cv2.KeyPoint]) -> Found:
    """The keypoints that the suppression leaves, and their responses."""
    points = np.array([keypoint.pt for keypoint in keypoints], np.float32).reshape(-1, 2)
    return _suppressed(image, points, np.array([keypoint.response for keypoint in keypoints], np.float32))


def _refined(image: Image, points: NDArray[np.float32], scores: NDArray[np.float32], radius: int) -> Found:
    """Moved within a window of ``radius`` to where the gradients around meet, and suppressed again."""
    if len(points) == 0:
        return points, scores
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 0.01)
    refined = cv2.cornerSubPix(image, points[:, None].copy(), (radius, radius), (-1, -1), criteria)
    return _suppressed(image, np.asarray(refined, np.float32)[:, 0], scores)


def _suppressed(image: Image, points: NDArray[np.float32], scores: NDArray[np.float32]) -> Found:
    """What greedy selection by score keeps, the best first, as ``nms.non_maximum_suppression`` of pixels."""
    order = np.argsort(-scores, kind="stable")
    points, scores = points[order], scores[order]
    height, width = image.shape
    side = 2 * NMS_RADIUS + 1
    covered = np.zeros((height + side, width + side), np.bool_)
    kept = []
    for number, (x, y) in enumerate(np.rint(points).astype(np.intp).tolist()):
        if not covered[y + NMS_RADIUS, x + NMS_RADIUS]:
            covered[y : y + side, x : x + side] = True
            kept.append(number)
    return points[kept], scores[kept]
