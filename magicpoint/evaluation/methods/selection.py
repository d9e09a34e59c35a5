"""The keypoints of an image that count in a comparison, chosen alike for every method."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from ...core.types import Features
from ...decoding.decode import DecodeSettings, decode
from ...decoding.nms import suppress_points
from ...measures.detection import outside_border

Image = NDArray[np.uint8]
Detect = Callable[[Image], Features]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Selection:
    """Which keypoints of an image count, alike for every method.

    Args:
        nms_radius: As in `DecodeSettings`; not applied to OpenCV's features where descriptors are wanted: it would
            leave one of several scales and directions at a place, and the paper compares with OpenCV as it is.
        border: Keypoints whose nearest pixel lies in this many at each side of the image are dropped.
        max_keypoints: Of those that are left, the best by score are kept.
        descriptors: Whether descriptors are wanted.
    """

    nms_radius: int
    border: int
    max_keypoints: int
    descriptors: bool


def binary_as_unit(descriptors: NDArray[np.uint8]) -> Floats:
    """Binary descriptors (N, D / 8) as unit vectors (N, D) of + and - 1 / sqrt(D).

    Their cosine is 1 - 2 h / D with h the Hamming distance, so the nearest by cosine is the nearest by Hamming.
    """
    bits = np.unpackbits(descriptors, axis=1)
    return (2 * bits.astype(np.float32) - 1) / np.float32(np.sqrt(max(bits.shape[1], 1)))


def select_peaks(response: Any, selection: Selection) -> Features:
    """The features, without descriptors, at the peaks of a response map (H, W), decoded as a network's heatmap is.

    So they lie between the pixels, as a network's do.
    """
    values = np.maximum(np.asarray(response, np.float32), 0.0)
    settings = DecodeSettings(selection.nms_radius, 0.0, selection.border, selection.max_keypoints)
    [(keypoints, scores)] = decode(torch.from_numpy(values / max(values.max(), 1e-30))[None], settings)
    return Features(keypoints, scores, None, (values.shape[1], values.shape[0]))


def prepare_opencv(detector: Any, selection: Selection) -> Detect:
    """The detection by a `cv2.Feature2D`, and its description if wanted; see `Selection` for the suppression."""
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


def _select_keypoints(image: Image, keypoints: Any, descriptors: Any, selection: Selection) -> Features:
    points = np.array([keypoint.pt for keypoint in keypoints], np.float32).reshape(-1, 2)
    order = np.argsort([-keypoint.response for keypoint in keypoints], kind="stable")
    return select_points(image, points[order], None if descriptors is None else descriptors[order], selection)


def select_points(image: NDArray[Any], points: Floats, descriptors: Any, selection: Selection) -> Features:
    """The features of points (N, 2), the best first, that the selection keeps; their scores say only the order.

    Descriptors are None, uint8 (N, D / 8) of bits, or (N, D), which are scaled to unit length.
    """
    image_size = (image.shape[1], image.shape[0])
    kept = suppress_points(points, selection.nms_radius, image_size)
    kept = kept[outside_border(points[kept], selection.border, image_size)][: selection.max_keypoints]
    scores = 1.0 - np.arange(len(kept), dtype=np.float32) / max(len(kept), 1)
    unit = None
    if descriptors is not None:
        vectors = binary_as_unit(descriptors) if descriptors.dtype == np.uint8 else descriptors
        unit = F.normalize(torch.from_numpy(np.ascontiguousarray(vectors[kept], np.float32)), dim=1)
    return Features(torch.from_numpy(points[kept]), torch.from_numpy(scores), unit, image_size)
