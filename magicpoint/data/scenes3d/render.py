"""Textured planes to images with exact depths, and the places of one view in another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .camera import Camera, Floats

HIDDEN = 0.01
"""A point is hidden in a view that shows something nearer than it there, by more than this share of its depth."""

_NEAR = 1e-3  # metres, or whatever the scene's unit is, in front of the camera: where outlines are cut
_ROW = 1024


@dataclass(frozen=True, eq=False)
class TexturedPlane:
    """A parallelogram in the world with a picture on it, seen from both sides.

    Args:
        texture: uint8 (h, w).
        corner: float64 (3,), the outer corner of the texture's top-left pixel.
        right: float64 (3,), from there to the outer corner of the top-right pixel.
        down: float64 (3,), from there to that of the bottom-left pixel; not parallel to `right`.
    """

    texture: NDArray[np.uint8]
    corner: Floats
    right: Floats
    down: Floats

    def to_camera(self, camera: Camera) -> Floats:
        """float64 (3, 3): texture pixels (u, v, 1) to points in the camera's coordinates."""
        height, width = self.texture.shape
        across, along = self.right / width, self.down / height
        first = self.corner + (across + along) / 2
        placed: Floats = camera.R @ np.column_stack((across, along, first))
        placed[:, 2] += camera.t
        return placed


@dataclass(frozen=True, eq=False)
class RenderedView:
    """What a camera sees of a scene.

    Args:
        image: uint8 (H, W).
        depth: float64 (H, W) at the pixels' centres, infinite where there is nothing.
        surface: intp (H, W), the index of the plane that is seen there; -1 where there is none.
        camera: It.
        scene: The planes.
    """

    image: NDArray[np.uint8]
    depth: Floats
    surface: NDArray[np.intp]
    camera: Camera
    scene: tuple[TexturedPlane, ...]


def render(scene: Sequence[TexturedPlane], camera: Camera, samples: int = 2) -> RenderedView:
    """Draw a scene; of several planes behind a pixel the nearest is seen.

    Args:
        scene: The planes.
        camera: It.
        samples: Of a pixel, each way: an edge between planes is true to about 1 / (7 samples) of a pixel at each place,
            in the mean over places to far less. Textures are smoothed beforehand to the scale at which they are seen.

    Raises:
        ValueError: There is no plane, or the samples are fewer than 1.
    """
    if not scene or samples < 1:
        raise ValueError(f"a scene needs a plane and a sample of each pixel, got {len(scene)} and {samples}")
    fine = camera.resized(samples)
    looks = [_look(plane, fine) for plane in scene]
    surface, _ = _nearest(looks, fine.image_size)
    grey = np.zeros(surface.shape, np.uint8)
    for index, (plane, look) in enumerate(zip(scene, looks, strict=True)):
        seen = surface[look.window] == index
        if seen.any():
            part = grey[look.window]
            part[seen] = _sample(_pyramid(plane.texture), look.u[seen], look.v[seen], look.zoom[seen])
    image = cv2.resize(grey, camera.image_size, interpolation=cv2.INTER_AREA)
    surface, depth = _nearest([_look(plane, camera) for plane in scene], camera.image_size)
    return RenderedView(np.asarray(image, np.uint8), depth, surface, camera, tuple(scene))


def transfer(
    keypoints: NDArray[np.floating], view0: RenderedView, view1: RenderedView
) -> tuple[Floats, NDArray[np.bool_]]:
    """Where view 1 shows what view 0 shows at some places.

    A place belongs to the plane that its nearest pixel shows; on an edge between two this may be the other one.

    Args:
        keypoints: (N, 2), (x, y) in pixels of view 0.
        view0: Of a scene.
        view1: Of the same scene.

    Returns:
        float64 (N, 2) in pixels of view 1, nan for places outside view 0 or with nothing behind them, and bool (N,):
        whether view 1 shows the point, so that it lies in its image and nothing nearer hides it.
    """
    places = np.asarray(keypoints, np.float64)
    world = np.full((len(places), 3), np.nan)
    row, column, inside = _nearest_pixels(places, view0.camera.image_size)
    rays = view0.camera.rays(places)
    surfaces = np.where(inside, view0.surface[row, column], -1)
    for index in np.unique(surfaces[surfaces >= 0]):
        chosen = surfaces == index
        q = rays[chosen] @ np.linalg.inv(view0.scene[index].to_camera(view0.camera)).T
        world[chosen] = (rays[chosen] / q[:, 2:] - view0.camera.t) @ view0.camera.R
    pixels, depths = view1.camera.project(world)
    row, column, inside = _nearest_pixels(pixels, view1.camera.image_size)
    shown = inside & (view1.depth[row, column] >= depths * (1 - HIDDEN))
    return pixels, shown


def _nearest_pixels(
    places: Floats, image_size: tuple[int, int]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.bool_]]:
    """Row, column and whether they are in the image; row and column are 0 where not."""
    inside = np.all((places >= -0.5) & (places < np.array(image_size) - 0.5), axis=1)
    column, row = np.floor(np.where(inside[:, None], places, 0.0) + 0.5).astype(np.intp).T
    return row, column, inside


@dataclass(frozen=True, eq=False)
class _Look:
    """What the pixels of a window of the image see of one plane, whatever else is there.

    Args:
        window: Rows and columns.
        u: The place on the texture, with v.
        v: See u.
        depth: Infinite beside the plane.
        zoom: Texels a pixel, along a line.
    """

    window: tuple[slice, slice]
    u: Floats
    v: Floats
    depth: Floats
    zoom: Floats


def _look(plane: TexturedPlane, camera: Camera) -> _Look:
    window = _window(plane, camera)
    to_texture = np.linalg.inv(plane.to_camera(camera)) @ np.linalg.inv(camera.K)
    y, x = np.ogrid[window]
    q = [a * x + b * y + c for a, b, c in to_texture.tolist()]
    with np.errstate(divide="ignore", invalid="ignore"):
        # With the ray r of depth 1 the plane is met at z r where the inverse of `to_camera` takes z r to (u, v, 1).
        depth = 1.0 / q[2]
        u, v = q[0] * depth, q[1] * depth
        zoom = np.sqrt(np.abs(np.linalg.det(to_texture) * depth**3))
    rows, columns = plane.texture.shape
    on_it = (q[2] > 0) & (u >= -0.5) & (u <= columns - 0.5) & (v >= -0.5) & (v <= rows - 0.5)
    return _Look(window, u, v, np.where(on_it, depth, np.inf), zoom)


def _window(plane: TexturedPlane, camera: Camera) -> tuple[slice, slice]:
    """The rows and columns in which a plane can be seen: those around its outline, as far as that is in front."""
    width, height = camera.image_size
    corners = [
        plane.corner,
        plane.corner + plane.right,
        plane.corner + plane.right + plane.down,
        plane.corner + plane.down,
    ]
    outline = np.array(corners) @ camera.R.T + camera.t
    ahead = np.roll(outline, -1, axis=0)
    crossing = (outline[:, 2] < _NEAR) != (ahead[:, 2] < _NEAR)
    start, way = outline[crossing], (ahead - outline)[crossing]
    crossings = start + (_NEAR - start[:, 2:]) / way[:, 2:] * way
    visible = np.concatenate((outline[outline[:, 2] >= _NEAR], crossings))
    if not len(visible):
        return slice(0, 0), slice(0, 0)
    pixels = (visible @ camera.K.T)[:, :2] / visible[:, 2:]
    first = np.floor(pixels.min(axis=0)).clip(0, (width, height)).astype(int)
    last = (np.ceil(pixels.max(axis=0)) + 1).clip(first, (width, height)).astype(int)
    return slice(first[1], last[1]), slice(first[0], last[0])


def _nearest(looks: Sequence[_Look], image_size: tuple[int, int]) -> tuple[NDArray[np.intp], Floats]:
    """For every pixel the index of the nearest plane, -1 without one, and its depth."""
    depth = np.full(image_size[::-1], np.inf)
    surface = np.full(depth.shape, -1, np.intp)
    for index, look in enumerate(looks):
        nearer = look.depth < depth[look.window]
        depth[look.window][nearer] = look.depth[nearer]
        surface[look.window][nearer] = index
    return surface, depth


def _pyramid(texture: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """The texture, and each time averaged over 2x2 texels, down to a side of 1."""
    levels = [texture]
    while min(levels[-1].shape) > 1:
        height, width = levels[-1].shape
        size = (max(1, width // 2), max(1, height // 2))
        levels.append(np.asarray(cv2.resize(levels[-1], size, interpolation=cv2.INTER_AREA), np.uint8))
    return levels


def _sample(pyramid: Sequence[NDArray[np.uint8]], u: Floats, v: Floats, zoom: Floats) -> NDArray[np.uint8]:
    """The texture at places (N,), each at the level whose texels are about as large as the pixel."""
    wanted = np.rint(np.log2(zoom)).clip(0, len(pyramid) - 1).astype(np.intp)
    result = np.zeros(len(u), np.uint8)
    height, width = pyramid[0].shape
    for level in np.flatnonzero(np.bincount(wanted)).tolist():  # np.unique takes a third of the time of a scene
        texture, chosen = pyramid[level], wanted == level
        factors = texture.shape[1] / width, texture.shape[0] / height
        places = [
            ((place[chosen] + 0.5) * s - 0.5).astype(np.float32) for place, s in zip((u, v), factors, strict=True)
        ]
        result[chosen] = _interpolate(texture, *places)
    return result


def _interpolate(texture: NDArray[np.uint8], u: NDArray[np.float32], v: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Bilinear, the outermost texels repeated beyond the edge; OpenCV takes at most 32767 places in a row."""
    rows = -(-len(u) // _ROW)
    padded = [np.pad(places, (0, rows * _ROW - len(u))).reshape(rows, _ROW) for places in (u, v)]
    sampled = cv2.remap(texture, padded[0], padded[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(sampled, np.uint8).ravel()[: len(u)]
