"""What is found of known planar things in a scene: data, without the work."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from homography import warp_points

from ..core.settings import check_kinds, check_range, check_whole

ENLARGED = 800
"""Pixels of the longer side of scenes that are looked at at twice their size, too."""


@dataclass(frozen=True)
class LocateSettings:
    """When a template counts as found.

    Args:
        least_inliers: Matches that must agree on where it lies.
        least_probability: Where fewer agree, the probability that a verifier must give; what it gives is said of the
            place at which the template's grey values fit best.
        pixels: Largest distance in the scene of a match that agrees.
        max_instances: At most this many of each template are found in a scene.
        enlarge: Look at scenes whose longer side has at most 800 pixels at twice their size, too: about twice as
            many of the small things are found, at five times the cost of a scene.
        most_compared: The best so many keypoints of a scene, and of each template, are compared.
        largest_iou: Of two finds that overlap by more than this the surer one is kept, by its inliers and
            the verifier.
    """

    least_inliers: int = 12
    least_probability: float = 0.9
    pixels: float = 3.0
    max_instances: int = 5
    enlarge: bool = True
    most_compared: int = 1500
    largest_iou: float = 0.3

    def __post_init__(self) -> None:
        check_kinds(self)
        check_whole(self, 4, "least_inliers")
        check_whole(self, 1, "max_instances", "most_compared")
        check_range(self, "(0, inf)", "pixels")
        check_range(self, "(0, 1]", "least_probability")
        check_range(self, "(0, 1]", "largest_iou")


@dataclass(frozen=True, eq=False)
class Located:
    """A template found in a scene.

    Args:
        template: Its name.
        corners: float32 (4, 2), (x, y) in pixels of the scene: the outer corners of the template, its top-left corner
            first, then clockwise as one looks at it; they may lie outside the scene.
        H_template_to_scene: float64 (3, 3), from pixels of the template to those of the scene.
        matches: Number of keypoints of the template that were matched.
        inliers: How many of them agree.
        probability: That the quadrilateral shows the template, by a verifier; None without one.
        correlation: Of its grey values and the template's, where it was placed by these; None where by keypoints.
    """

    template: str
    corners: NDArray[np.float32]
    H_template_to_scene: NDArray[np.float64]
    matches: int
    inliers: int
    probability: float | None = None
    correlation: float | None = None


def outer_corners(image_size: tuple[int, int]) -> NDArray[np.float64]:
    """The corners of an image (W, H), (4, 2), from the top-left one on clockwise: half a pixel beyond the centres of
    its outermost pixels.
    """
    width, height = image_size
    return np.array([[0, 0], [width, 0], [width, height], [0, height]]) - 0.5


def corners_in_scene(
    H: NDArray[np.float64], image_size: tuple[int, int], scene_size: tuple[int, int]
) -> NDArray[np.float64] | None:
    """Where a homography takes the corners of a template (W, H); None where no camera sees a plane so.

    The quadrilateral is convex and not mirrored, all of it in front of the camera, partly in the scene (W, H), and
    neither thinner than `THINNEST` pixels nor more than ten times as large as the scene.
    """
    corners = outer_corners(image_size)
    depths = np.column_stack((corners, np.ones(4))) @ H[2]
    if depths.min() <= 0:
        return None
    placed = np.asarray(warp_points(corners, H), np.float64)
    sides = np.roll(placed, -1, axis=0) - placed
    turns = np.cross(np.column_stack((sides, np.zeros(4))), np.column_stack((np.roll(sides, -1, axis=0), np.zeros(4))))
    lengths = np.hypot(*sides.T)
    low, high = placed.min(axis=0), placed.max(axis=0)
    is_seen = bool((high > 0).all() and (low < np.array(scene_size) - 1).all())
    fits = lengths.min() >= THINNEST and (high - low).max() <= 10 * max(scene_size)
    return placed if bool((turns[:, 2] > 0).all()) and is_seen and fits else None


THINNEST = 4.0
"""Shortest side, in pixels, of what can be told from a line."""
