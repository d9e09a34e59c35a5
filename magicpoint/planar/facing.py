"""A quadrilateral of a scene as if it faced the camera, and a template laid over it by its grey values."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from homography import warp_points
from homography.warp import inverse_homography, resizing

from ..core.grid import CELL_SIZE
from .located import outer_corners
from .verify.crops import mean_side, warped

Floats = NDArray[np.float64]

FACED = (160, 1280)
"""Fewest and most pixels of the longer side of what is looked at again; between them, as many as in the scene."""

PROPOSED, AROUND = 2.0, 0.15
"""Proposals are looked at at twice their size, with so many sides around them: they are a little off."""

OBLONG = 1.5
"""How often a side goes into another one where it matters."""

OVERLAID = (24.0, 96.0)
"""Fewest and most pixels of the longer side of a template that is laid over a scene."""

_MARGIN = 0.3  # around it, in sides
_FARTHEST = 0.3  # that a corner may move, in sides
_ROUGH, _FINE = (15, 0.08), (40, 0.02)  # steps, and standard deviation of the blur in sides
_PRECISION = 1e-4


def facing(corners: NDArray[np.float32]) -> list[tuple[Floats, tuple[int, int]]]:
    """Views of a quadrilateral (4, 2) of a scene, clockwise, and of a little around it, as if it faced the camera.

    It tells how long its sides look and not how long they are: the views are of sides as long as they look, unless that
    is nearly a square, and of a square, in which most things that are seen very obliquely are less distorted.

    Returns:
        For each view the homography from the scene to it, and its size (W, H).
    """
    lengths = np.hypot(*(np.roll(corners, -1, axis=0) - corners).T)
    looks = np.array([max(lengths[0], lengths[2]), max(lengths[1], lengths[3])])
    longest = float(np.clip(PROPOSED * looks.max(), *FACED))
    forms = [np.ones(2)] if looks.max() < OBLONG * looks.min() else [looks / looks.max(), np.ones(2)]
    views = []
    for form in forms:
        sides = np.maximum(longest * form, CELL_SIZE)
        width, height = np.rint((1 + 2 * AROUND) * sides).astype(int).tolist()
        square = (np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) + AROUND) * sides - 0.5
        H = cv2.getPerspectiveTransform(corners.astype(np.float32), square.astype(np.float32))
        views.append((np.asarray(H, np.float64), (width, height)))
    return views


class Overlaid(NamedTuple):
    """A template laid over a scene: `H_template_to_scene` (3, 3), and `correlation` of the grey values under it."""

    H_template_to_scene: Floats
    correlation: float


def overlay(
    picture: NDArray[np.float32], image_size: tuple[int, int], grey: NDArray[np.float32], corners: NDArray[np.float32]
) -> Overlaid | None:
    """Lays a template over a scene so that their grey values correlate best (ECC, Evangelidis and Psarakis, 2008).

    Args:
        picture: Of the template, at any size.
        image_size: (W, H) of the template.
        grey: The scene.
        corners: (4, 2), where the template's corners are, roughly.

    Returns:
        None where the search goes astray, or far from the corners that were given.
    """
    sides = np.array(image_size, np.float64)
    longest = np.hypot(*(np.roll(corners, -1, axis=0) - corners).T).max()
    width, height = np.maximum(8, np.rint(sides * np.clip(longest, *OVERLAID) / sides.max())).astype(int).tolist()
    size, margin = (width, height), np.rint(_MARGIN * np.array([width, height]))
    template = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.float32)
    shift = np.array([[1, 0, margin[0]], [0, 1, margin[1]], [0, 0, 1.0]])
    crop_size = int(width + 2 * margin[0]), int(height + 2 * margin[1])
    to_scene = cv2.getPerspectiveTransform(outer_corners(size).astype(np.float32), corners.astype(np.float32))
    crop_to_scene = np.asarray(to_scene, np.float64) @ inverse_homography(shift)
    factor = mean_side(outer_corners(size)) / max(mean_side(corners.astype(np.float64)), 1e-6)
    crop = np.asarray(warped(grey, crop_to_scene, crop_size, factor), np.float32)
    nearest = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    inside = cv2.warpPerspective(np.ones(grey.shape, np.uint8), crop_to_scene, crop_size, flags=nearest)
    found, correlation = shift.astype(np.float32), 0.0
    for steps, blur in (_ROUGH, _FINE):
        criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, steps, _PRECISION)
        window = 2 * round(1.5 * blur * min(size)) + 1
        try:
            correlation, turned = cv2.findTransformECC(
                template, crop, found, cv2.MOTION_HOMOGRAPHY, criteria, inside, max(3, window)
            )
            found = np.asarray(turned, np.float32)
        except cv2.error:  # nothing to go by, or the search diverged
            return None
    ends = shift, found.astype(np.float64)
    begun, ended = (np.asarray(warp_points(outer_corners(size), H), np.float64) for H in ends)
    if not np.isfinite(ended).all() or np.abs(ended - begun).max() > _FARTHEST * max(size):
        return None
    H = crop_to_scene @ np.asarray(found, np.float64) @ resizing(image_size, size)
    return Overlaid(H / H[2, 2], float(correlation))
