"""How a method is used on synthetic shapes: every one suppressed alike, and moved between the pixels.

What finds corners on whole pixels is refined by `cv2.cornerSubPix`, and suppressed again, since that can bring two
keypoints to one place. On shapes the refinement is a gain; on photographs, see `on_pairs`, it is none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import cv2
import numpy as np
import torch

from ...decoding.nms import non_maximum_suppression, suppress_points
from .base import Floats, Found, Image, MethodSettings, ShapesMethod

NMS_RADIUS = 4
"""Every method keeps, of the keypoints in a square of this radius in pixels, the one with the highest score."""


@dataclass(frozen=True)
class PeaksOnShapes:
    """The peaks of a measure of each pixel.

    Args:
        response: From an image to its measure (H, W); its keywords are the method's settings.
        smallest: Responses up to this are no keypoints; the largest possible one is about 1.
        refinement: Radius of the window of `cv2.cornerSubPix`, in pixels.
    """

    response: partial[Floats]
    smallest: float
    refinement: int

    def settings(self) -> MethodSettings:
        own = {"smallest": self.smallest, "refinement": self.refinement, "nms_radius": NMS_RADIUS}
        return {**self.response.keywords, **own}

    def detect(self, images: Sequence[Image]) -> list[Found]:
        return [_refine(image, *_peaks(self.response(image), self.smallest), self.refinement) for image in images]


@dataclass(frozen=True)
class KeypointsOnShapes:
    """The keypoints of a `cv2.Feature2D`.

    Args:
        create: Makes it; its keywords are the method's settings.
        refinement: Radius of the window of `cv2.cornerSubPix`, in pixels; None leaves keypoints that lie between the
            pixels already.
    """

    create: partial[Any]
    refinement: int | None = None

    def settings(self) -> MethodSettings:
        refinement = {} if self.refinement is None else {"refinement": self.refinement}
        return {**self.create.keywords, **refinement, "nms_radius": NMS_RADIUS}

    def detect(self, images: Sequence[Image]) -> list[Found]:
        detector = self.create()
        found = [_as_arrays(detector.detect(image)) for image in images]
        if self.refinement is None:
            return found
        return [_refine(image, *keypoints, self.refinement) for image, keypoints in zip(images, found, strict=True)]


def detect_all(methods: Mapping[str, ShapesMethod], images: Sequence[Image]) -> dict[str, list[Found]]:
    """What each method finds in each image, by its name; a thread each, since OpenCV and torch leave Python free."""
    with ThreadPoolExecutor(max_workers=len(methods)) as pool:
        found = pool.map(lambda method: method.detect(images), methods.values())
    return dict(zip(methods, found, strict=True))


def _peaks(response: Floats, smallest: float) -> Found:
    """The pixels of a response map (H, W) that the suppression leaves, and their values."""
    rows, columns = non_maximum_suppression(torch.from_numpy(response)[None], NMS_RADIUS, smallest)[0].numpy().nonzero()
    return np.stack((columns, rows), 1).astype(np.float32), response[rows, columns]


def _as_arrays(keypoints: Sequence[cv2.KeyPoint]) -> Found:
    """The keypoints that the suppression leaves, and their responses."""
    points = np.array([keypoint.pt for keypoint in keypoints], np.float32).reshape(-1, 2)
    return _suppress(points, np.array([keypoint.response for keypoint in keypoints], np.float32))


def _refine(image: Image, points: Floats, scores: Floats, radius: int) -> Found:
    """Moved within a window of `radius` to where the gradients around meet, and suppressed again."""
    if len(points) == 0:
        return points, scores
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 0.01)
    refined = cv2.cornerSubPix(image, points[:, None].copy(), (radius, radius), (-1, -1), criteria)
    return _suppress(np.asarray(refined, np.float32)[:, 0], scores)


def _suppress(points: Floats, scores: Floats) -> Found:
    """What greedy selection by score keeps, the best first."""
    order = np.argsort(-scores, kind="stable")
    kept = order[suppress_points(points[order], NMS_RADIUS)]
    return points[kept], scores[kept]
