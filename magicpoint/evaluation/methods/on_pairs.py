"""How a method is used on pairs of photographs: which of its keypoints count is chosen alike for every method.

Peaks are moved between the pixels by a parabola, as a network's are: `cv2.cornerSubPix`, a gain on synthetic corners,
moves keypoints of two photographs apart and costs 2 to 7 points of repeatability.
"""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from functools import partial
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from ...core.types import Features
from ...decoding.decode import decode
from ...decoding.nms import suppress_points
from ...decoding.settings import DecodeSettings
from ...measures.points import is_inside
from .base import Detect, Floats, Image, MethodSettings, Selection


@dataclass(frozen=True)
class PeaksOnPairs:
    """The peaks of a measure of each pixel, without descriptors.

    Args:
        response: From an image to its measure (H, W); its keywords are the method's settings.
    """

    response: partial[Floats]
    has_descriptors = False

    def settings(self) -> MethodSettings:
        return dict(self.response.keywords)

    def prepare(self, selection: Selection) -> Detect:
        return lambda image: select_peaks(self.response(image), selection)


@dataclass(frozen=True)
class KeypointsOnPairs:
    """The keypoints of a `cv2.Feature2D`, and its descriptors; see `Selection` for the suppression.

    Args:
        create: Makes it for a selection; its keywords are the method's settings.
        has_descriptors: Whether it describes the keypoints.
    """

    create: partial[Any]
    has_descriptors: bool

    def settings(self) -> MethodSettings:
        return dict(self.create.keywords)

    def prepare(self, selection: Selection) -> Detect:
        detector = self.create(selection)
        if not selection.descriptors:
            return lambda image: _select_keypoints(image, detector.detect(image, None), None, selection)
        own = dataclasses.replace(selection, nms_radius=0)

        def detect(image: Image) -> Features:
            keypoints, descriptors = detector.detectAndCompute(image, None)
            if descriptors is None:  # without a keypoint
                binary = detector.descriptorType() == cv2.CV_8U
                descriptors = np.zeros((0, detector.descriptorSize()), np.uint8 if binary else np.float32)
            return _select_keypoints(image, keypoints, descriptors, own)

        return detect


@dataclass(frozen=True)
class RandomPoints:
    """Uniform over the image, in an order that is random too; the image's content is the seed.

    Args:
        density: Points for each pixel before the suppression.
    """

    density: float = 0.05
    has_descriptors = False

    def settings(self) -> MethodSettings:
        return dataclasses.asdict(self)

    def prepare(self, selection: Selection) -> Detect:
        def detect(image: Image) -> Features:
            generator = np.random.default_rng(list(hashlib.sha256(image.tobytes()).digest()))
            image_size = np.array(image.shape[::-1])
            points = generator.random((int(self.density * image.size), 2)) * image_size - 0.5
            return select_points(image, points.astype(np.float32), None, selection)

        return detect


def select_peaks(response: Floats, selection: Selection) -> Features:
    """The features, without descriptors, at the peaks of a response map (H, W), decoded as a network's heatmap is.

    So they lie between the pixels, as a network's do.
    """
    values = np.maximum(response, 0.0)
    settings = DecodeSettings(selection.nms_radius, 0.0, selection.border, selection.max_keypoints)
    [(keypoints, scores)] = decode(torch.from_numpy(values / max(values.max(), 1e-30))[None], settings)
    return Features(keypoints, scores, None, (values.shape[1], values.shape[0]))


def _select_keypoints(image: Image, keypoints: Any, descriptors: Any, selection: Selection) -> Features:
    points = np.array([keypoint.pt for keypoint in keypoints], np.float32).reshape(-1, 2)
    order = np.argsort([-keypoint.response for keypoint in keypoints], kind="stable")
    return select_points(image, points[order], None if descriptors is None else descriptors[order], selection)


def select_points(image: Image, points: Floats, descriptors: Any, selection: Selection) -> Features:
    """The features of points (N, 2), the best first, that the selection keeps; their scores say only the order.

    Descriptors are None, uint8 (N, D / 8) of bits, or (N, D), which are scaled to unit length.
    """
    image_size = (image.shape[1], image.shape[0])
    kept = suppress_points(points, selection.nms_radius)
    kept = kept[is_inside(points[kept], image_size, selection.border)][: selection.max_keypoints]
    scores = 1.0 - np.arange(len(kept), dtype=np.float32) / max(len(kept), 1)
    unit = None
    if descriptors is not None:
        vectors = binary_as_unit(descriptors) if descriptors.dtype == np.uint8 else descriptors
        unit = F.normalize(torch.from_numpy(np.ascontiguousarray(vectors[kept], np.float32)), dim=1)
    return Features(torch.from_numpy(points[kept]), torch.from_numpy(scores), unit, image_size)


def binary_as_unit(descriptors: NDArray[np.uint8]) -> Floats:
    """Binary descriptors (N, D / 8) as unit vectors (N, D) of + and - 1 / sqrt(D).

    Their cosine is 1 - 2 h / D with h the Hamming distance, so the nearest by cosine is the nearest by Hamming.
    """
    bits = np.unpackbits(descriptors, axis=1)
    return (2 * bits.astype(np.float32) - 1) / np.float32(np.sqrt(max(bits.shape[1], 1)))
