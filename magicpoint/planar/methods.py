"""What quadrilaterals are found by otherwise: contours, and keypoints where the template is given."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from ..core.types import Features
from ..inference.extractor import Extractor
from ..io.images import shrink
from ..matching.homography import estimate_homography
from ..matching.nearest import match_features
from ..matching.settings import MatchSettings
from .detect import Quads
from .detector import QuadDetector
from .locate import Locator
from .located import LocateSettings, outer_corners
from .polygons import suppress_quads
from .templates import Template, describe_template

Picture = NDArray[np.uint8]

LONGEST_TEMPLATE = 240
"""Templates are shrunk to this before keypoints are looked for, nearer to the size at which scenes show them."""

LEAST_INLIERS = 6
LEAST_AREA = 300.0
_DEVIATION = 0.03  # of a contour from its polygon, in lengths of the contour


class SceneMethod(Protocol):
    """A way to find quadrilaterals."""

    def __call__(self, image: Picture, given: Sequence[int]) -> Quads:
        """The quadrilaterals of a scene; a method of templates looks for those of these numbers alone."""


def by_network(detector: QuadDetector) -> SceneMethod:
    """The detector, which knows no template."""
    return lambda image, given: detector.detect(image)


def contours(image: Picture, given: Sequence[int]) -> Quads:
    """Closed contours of edges and of brightness, approximated to four corners, the largest first.

    In the way of OpenCV's sample of squares (Suzuki and Abe, 1985; Douglas and Peucker, 1973).
    """
    smooth = cv2.GaussianBlur(image, (5, 5), 0)
    edges = cv2.dilate(cv2.Canny(smooth, 50, 150), np.ones((3, 3), np.uint8))
    bright = cv2.threshold(smooth, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)[1]
    local = cv2.adaptiveThreshold(smooth, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, 31, 5)
    most = 0.9 * image.size  # beyond it is the border of the image
    found, areas = [np.zeros((0, 4, 2), np.float32)], [np.zeros(0, np.float32)]
    for mask in (edges, bright, local):
        for outline in cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)[0]:
            polygon = cv2.approxPolyDP(outline, _DEVIATION * cv2.arcLength(outline, True), True)
            area = cv2.contourArea(polygon)
            if len(polygon) == 4 and cv2.isContourConvex(polygon) and LEAST_AREA < area < most:
                found.append(_clockwise(polygon.reshape(1, 4, 2).astype(np.float32)))
                areas.append(np.array([area / image.size], np.float32))
    corners, scores = np.concatenate(found), np.concatenate(areas)
    kept = suppress_quads(corners, scores, 0.5)
    return Quads(corners[kept], scores[kept], (image.shape[1], image.shape[0]))


def _clockwise(corners: NDArray[np.float32]) -> NDArray[np.float32]:
    """As it is looked at, from the corner that is nearest to the image's top left."""
    first, second, third = corners[0, :3]
    ordered = corners[:, ::-1] if np.linalg.det([second - first, third - second]) < 0 else corners
    return np.roll(ordered, -int(ordered[0].sum(axis=1).argmin()), axis=1)


class ByKeypoints:
    """Matches of keypoints with each template that is given, and the homography on which most agree (MAGSAC++).

    Args:
        templates: By number.
        extract: Keypoints and descriptors of a picture.
        settings: How they are matched.
    """

    def __init__(
        self, templates: Sequence[Picture], extract: Callable[[Picture], Features], settings: MatchSettings
    ) -> None:
        self._templates, self._extract, self._settings = templates, extract, settings
        self._known: dict[int, Features] = {}

    def __call__(self, image: Picture, given: Sequence[int]) -> Quads:
        features, found, inliers = self._extract(image), [], []
        for number in sorted(set(given)):
            template = self._features(number)
            index0, index1 = match_features(template, features, self._settings).matches01.T
            estimate = estimate_homography(template.keypoints[index0], features.keypoints[index1])
            if estimate is not None and (count := int(estimate.inliers.sum())) >= LEAST_INLIERS:
                outline = outer_corners(template.image_size)[None]
                found.append(cv2.perspectiveTransform(outline, estimate.H_0to1)[0])
                inliers.append(count)
        corners = np.array(found, np.float32).reshape(-1, 4, 2)
        usable = np.isfinite(corners).all(axis=(1, 2))
        scores = np.array(inliers, np.float32)[usable]
        return Quads(corners[usable], scores, (image.shape[1], image.shape[0]))

    def _features(self, number: int) -> Features:
        if number not in self._known:
            self._known[number] = self._extract(shrink(self._templates[number], LONGEST_TEMPLATE))
        return self._known[number]


def by_sift(templates: Sequence[Picture]) -> SceneMethod:
    """SIFT of OpenCV with Lowe's ratio (IJCV, 2004) and MAGSAC++."""
    sift = cv2.SIFT_create()  # type: ignore[attr-defined]  # the type stubs of OpenCV 5 lack it

    def extract(image: Picture) -> Features:
        keypoints, descriptors = sift.detectAndCompute(image, None)
        places = torch.tensor([each.pt for each in keypoints], dtype=torch.float32).reshape(-1, 2)
        described = np.zeros((0, 128), np.float32) if descriptors is None else np.asarray(descriptors, np.float32)
        unit = described / np.maximum(np.linalg.norm(described, axis=1, keepdims=True), 1e-6)
        size = image.shape[1], image.shape[0]
        return Features(places, torch.ones(len(places)), torch.from_numpy(unit), size)

    return ByKeypoints(templates, extract, MatchSettings(ratio=0.8))


def by_points(templates: Sequence[Picture], extractor: Extractor) -> SceneMethod:
    """The keypoints of an extractor and MAGSAC++."""
    return ByKeypoints(templates, extractor.extract, MatchSettings())


class ByLocator:
    """`locate.Locator`: keypoints at several sizes and in four turns, and a second look at what was found.

    Args:
        templates: By number.
        extractor: Of the scenes.
        detector: Of proposals.
    """

    def __init__(
        self, templates: Sequence[Picture], extractor: Extractor, detector: QuadDetector | None = None
    ) -> None:
        self._detector = detector
        best = dataclasses.replace(extractor.settings, max_keypoints=LocateSettings().most_compared)
        self._templates, self._extractor = templates, extractor.with_settings(best)
        self._known: dict[int, Template] = {}

    def __call__(self, image: Picture, given: Sequence[int]) -> Quads:
        templates = {str(number): self._template(number) for number in sorted(set(given))}
        found = Locator(templates, self._extractor, detector=self._detector).locate(image) if templates else []
        corners = np.array([located.corners for located in found], np.float32).reshape(-1, 4, 2)
        inliers = np.array([located.inliers for located in found], np.float32)
        return Quads(corners, inliers, (image.shape[1], image.shape[0]))

    def _template(self, number: int) -> Template:
        if number not in self._known:
            self._known[number] = describe_template(str(number), self._templates[number], self._extractor)
        return self._known[number]
