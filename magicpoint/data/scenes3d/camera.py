"""Pinhole cameras: points of the world to pixels, and rays of pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole camera without distortion; x points right, y down, z into the picture.

    Args:
        K: float64 (3, 3), the intrinsic matrix, in pixels whose centres are at whole numbers: the middle of an image of
            W x H pixels is at ((W - 1) / 2, (H - 1) / 2).
        R: float64 (3, 3), turns directions of the world into those of the camera.
        t: float64 (3,): a point p of the world is at R p + t in the camera.
        image_size: (W, H) in pixels.
    """

    K: Floats
    R: Floats
    t: Floats
    image_size: tuple[int, int]

    @property
    def centre(self) -> Floats:
        """Where the camera is in the world, (3,)."""
        centre: Floats = -self.R.T @ self.t
        return centre

    def project(self, points: ArrayLike) -> tuple[Floats, Floats]:
        """Points of the world (N, 3) to pixels (N, 2), (x, y), and depths (N,).

        The depth is the distance from the camera's plane, not from its centre. Pixels of points that are not in front
        of it are nan.
        """
        inside = np.asarray(points, np.float64) @ self.R.T + self.t
        depths = inside[:, 2]
        with np.errstate(divide="ignore", invalid="ignore"):
            pixels = (inside @ self.K.T)[:, :2] / depths[:, None]
        pixels[depths <= 0] = np.nan
        return pixels, depths

    def rays(self, pixels: ArrayLike) -> Floats:
        """The points at depth 1, in the camera's own coordinates, behind pixels (N, 2): (N, 3)."""
        places = np.asarray(pixels, np.float64)
        rays: Floats = np.column_stack((places, np.ones(len(places)))) @ np.linalg.inv(self.K).T
        return rays

    def resized(self, factor: float) -> Camera:
        """The same view with `factor` times as many pixels each way: k becomes (k + 0.5) * factor - 0.5."""
        width, height = self.image_size
        shift = (factor - 1) / 2
        scale = np.array([[factor, 0, shift], [0, factor, shift], [0, 0, 1]])
        return Camera(scale @ self.K, self.R, self.t, (round(width * factor), round(height * factor)))


def intrinsics(image_size: tuple[int, int], field_of_view: float) -> Floats:
    """The matrix K of a camera that looks through the middle of its image.

    Args:
        image_size: (W, H) in pixels.
        field_of_view: From the left edge of the image to the right one, in radians.
    """
    width, height = image_size
    focal = width / (2 * np.tan(field_of_view / 2))
    return np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])


def look_at(centre: ArrayLike, target: ArrayLike, K: Floats, image_size: tuple[int, int], roll: float = 0.0) -> Camera:
    """A camera at a place that has another place in the middle of its image; the world's y axis points down.

    Args:
        centre: (3,), the camera's place.
        target: (3,), neither the same place nor straight above or below it.
        K: See `Camera`.
        image_size: (W, H).
        roll: Turn of the camera about its axis, in radians; a positive one turns the picture counter-clockwise.
    """
    start = np.asarray(centre, np.float64)
    forward = np.asarray(target, np.float64) - start
    forward /= np.linalg.norm(forward)
    right = np.cross([0.0, 1.0, 0.0], forward)
    right /= np.linalg.norm(right)
    upright = np.stack((right, np.cross(forward, right), forward))
    cosine, sine = np.cos(roll), np.sin(roll)
    R = np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1]]) @ upright
    return Camera(K, R, -R @ start, image_size)
