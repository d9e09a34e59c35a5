"""Random rooms: walls, boxes and panels with pictures on them, and pairs of views of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ...core.errors import InputError
from ...core.settings import LARGEST_SIDE, check_kinds, check_range, check_whole
from .camera import Camera, Floats, intrinsics, look_at
from .render import RenderedView, TexturedPlane, render, transfer

_TRIALS = 50
_GRID = 8


@dataclass(frozen=True)
class InteriorSettings:
    """How rooms and the views of them are drawn.

    Args:
        image_size: (W, H) of the views in pixels.
        boxes: Largest number of boxes that stand on the floor.
        panels: Largest number of panels that hang in the room, tilted.
        baseline: Smallest and largest distance between the two cameras, in metres; a room is about 5 wide.
        least_overlap: Share of each view that the other shows, at least.
        field_of_view: Smallest and largest, from left to right, in radians.
        roll: Largest turn of a camera about its axis, in radians.
    """

    image_size: tuple[int, int] = (640, 480)
    boxes: int = 4
    panels: int = 3
    baseline: tuple[float, float] = (0.3, 1.5)
    least_overlap: float = 0.3
    field_of_view: tuple[float, float] = (0.9, 1.3)
    roll: float = 0.2

    def __post_init__(self) -> None:
        check_kinds(self)
        if not 8 <= min(self.image_size) <= max(self.image_size) <= LARGEST_SIDE:
            raise InputError(f"image_size must be from 8 to {LARGEST_SIDE} pixels each way, got {self.image_size}")
        check_whole(self, 0, "boxes", "panels", most=1000)
        check_range(self, "[0, 3.14]", "roll")
        check_range(self, "(0, 1)", "least_overlap")
        if not 0 < self.baseline[0] <= self.baseline[1] < np.inf:
            raise InputError(f"baseline must rise from above 0, got {self.baseline}")
        if not 0 < self.field_of_view[0] <= self.field_of_view[1] < np.pi:
            raise InputError(f"field_of_view must rise within (0, pi), got {self.field_of_view}")


def draw_interior(
    textures: Sequence[NDArray[np.uint8]], rng: Generator, settings: InteriorSettings
) -> list[TexturedPlane]:
    """A room with boxes on its floor and panels in it; the first six planes are its walls, floor and ceiling.

    The floor is at y = 0 and y points down, so everything stands at y < 0; the middle of the floor is the origin.

    Args:
        textures: uint8 (h, w) pictures; each plane gets one of them, cut to its form.
        rng: Decides everything.
        settings: Of the room.
    """
    width, depth, height = rng.uniform(4, 6), rng.uniform(4, 6), rng.uniform(2.4, 3)
    planes = _cuboid((0.0, -height / 2, 0.0), (width, height, depth), 0.0, textures, rng)
    for _ in range(rng.integers(1, settings.boxes + 1) if settings.boxes else 0):
        size = rng.uniform(0.4, 1.1, 3)
        place = rng.uniform(-0.5, 0.5, 2) * (width - 2, depth - 2)
        centre = (place[0], -size[1] / 2, place[1])
        planes += _cuboid(centre, tuple(size), rng.uniform(0, np.pi), textures, rng)
    for _ in range(rng.integers(1, settings.panels + 1) if settings.panels else 0):
        planes.append(_panel(rng.uniform(-0.5, 0.5, 2) * (width - 1, depth - 1), height, textures, rng))
    return planes


def draw_view_pair(
    textures: Sequence[NDArray[np.uint8]], rng: Generator, settings: InteriorSettings | None = None
) -> tuple[RenderedView, RenderedView]:
    """Two views of one random room that show enough of the same.

    Raises:
        RuntimeError: No such views were found, which only settings that contradict each other bring about.
    """
    settings = settings or InteriorSettings()
    for _ in range(_TRIALS):
        scene = draw_interior(textures, rng, settings)
        cameras = _draw_cameras(scene, rng, settings)
        # An eighth of the size tells what two views have in common.
        view0, view1 = (render(scene, camera.resized(1 / _GRID)) for camera in cameras)
        if min(overlap(view0, view1), overlap(view1, view0)) >= settings.least_overlap:
            return render(scene, cameras[0]), render(scene, cameras[1])
    raise RuntimeError(f"no two views with an overlap of {settings.least_overlap} in {_TRIALS} rooms")


def overlap(view0: RenderedView, view1: RenderedView) -> float:
    """The share of the pixels of view 0 that view 1 shows."""
    width, height = view0.camera.image_size
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    return float(transfer(np.column_stack((x.ravel(), y.ravel())).astype(np.float64), view0, view1)[1].mean())


def _draw_cameras(scene: Sequence[TexturedPlane], rng: Generator, settings: InteriorSettings) -> list[Camera]:
    K = intrinsics(settings.image_size, rng.uniform(*settings.field_of_view))
    half = np.abs(np.concatenate([[plane.corner, plane.corner + plane.right] for plane in scene[:6]])).max(axis=0)
    first = rng.uniform(-1, 1, 3) * (half[0] - 0.7, 0.3, half[2] - 0.7) - (0, 1.4, 0)
    way = rng.normal(size=3) * (1, 0.3, 1)
    second = first + way / np.linalg.norm(way) * rng.uniform(*settings.baseline)
    second = np.clip(second, -half + 0.3, half - 0.3) * (1, 0, 1) + (0, np.clip(second[1], -half[1] + 0.3, -0.3), 0)
    target = -first * (0.5, 0, 0.5) + rng.uniform(-1, 1, 3) - (0, 0.9, 0)
    return [
        look_at(place, target + rng.uniform(-0.3, 0.3, 3), K, settings.image_size, rng.uniform(-1, 1) * settings.roll)
        for place in (first, second)
    ]


def _cuboid(
    centre: tuple[float, float, float],
    size: tuple[float, ...],
    turn: float,
    textures: Sequence[NDArray[np.uint8]],
    rng: Generator,
) -> list[TexturedPlane]:
    """The six faces of a cuboid of width, height and depth, turned about the vertical axis."""
    cosine, sine = np.cos(turn), np.sin(turn)
    axes = np.array([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]]) * np.array(size)[:, None]
    faces = []
    for normal, (first, second) in ((0, (2, 1)), (1, (0, 2)), (2, (0, 1))):
        for side in (-0.5, 0.5):
            corner = np.array(centre) + side * axes[normal] - (axes[first] + axes[second]) / 2
            faces.append(_plane(corner, axes[first], axes[second], textures, rng))
    return faces


def _panel(place: Floats, height: float, textures: Sequence[NDArray[np.uint8]], rng: Generator) -> TexturedPlane:
    across, along = rng.uniform(0.5, 1.2, 2)
    turn, tilt = rng.uniform(0, np.pi), rng.uniform(-0.5, 0.5)
    right = across * np.array([np.cos(turn), 0, np.sin(turn)])
    down = along * np.array([-np.sin(turn) * np.sin(tilt), np.cos(tilt), np.cos(turn) * np.sin(tilt)])
    centre = np.array([place[0], -rng.uniform(0.8, height - 0.8), place[1]])
    return _plane(centre - (right + down) / 2, right, down, textures, rng)


def _plane(
    corner: Floats, right: Floats, down: Floats, textures: Sequence[NDArray[np.uint8]], rng: Generator
) -> TexturedPlane:
    """With a picture cut to the form of the plane, so that nothing is stretched."""
    texture = textures[int(rng.integers(len(textures)))]
    aspect = float(np.linalg.norm(right) / np.linalg.norm(down))
    height, width = texture.shape
    new_width, new_height = min(width, max(1, round(height * aspect))), min(height, max(1, round(width / aspect)))
    left, top = int(rng.integers(width - new_width + 1)), int(rng.integers(height - new_height + 1))
    return TexturedPlane(texture[top : top + new_height, left : left + new_width], corner, right, down)
