"""Scenes with known planar things in them, rendered with exact corners, as a function of seed and number.

A scene is a wall with templates hanging before it, turned and tilted in space, where depth decides what hides what, and
other things of other outlines in front of all. It is drawn by `data.scenes3d`, and then its light is changed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from synthetic_shapes import render_shape
from synthetic_shapes.background import draw_background
from synthetic_shapes.seeding import sample_generator
from synthetic_shapes.sizes import SizeHW

from ..core.errors import InputError
from ..core.settings import check_kinds, check_range, check_size_hw, check_whole
from ..data.photometric import PhotometricSettings, augment_photometric
from ..data.scenes3d.camera import Camera, Floats
from ..data.scenes3d.render import TexturedPlane, render

BOARDS = ("checkerboard", "polygon", "star", "stripes")
"""The shapes of `synthetic_shapes` that make boards and cards."""

BOARD_SIZE_HW = (120, 160)

_WALL, _NEAREST, _FARTHEST = 3.0, 1.0, 2.0  # depths; the unit is the distance of the nearest template
_SAMPLES = 2
_OCCLUDER = 0.05, 0.2  # radii, in shorter sides of the image
_OUTLINE, _FRACTION_BITS = 64, 4
_FOCAL = 1.2  # in widths of the image
_BEYOND = 0.1  # centres lie in the image or up to this share of its sides beside it


@dataclass(frozen=True)
class SceneSettings:
    """How scenes are made.

    Args:
        size_hw: Height and width in pixels.
        most_objects: Largest number of templates in a scene; there may be none.
        shorter_side: Smallest and largest shorter side of a template that faces the camera, in pixels.
        tilt: Largest angle between a template's face and the camera, in radians.
        most_occluders: Largest number of other things in front.
        photometric: The changes of light, lens, sensor and file.
    """

    size_hw: SizeHW = (240, 320)
    most_objects: int = 6
    shorter_side: tuple[float, float] = (20.0, 160.0)
    tilt: float = 1.3
    most_occluders: int = 2
    photometric: PhotometricSettings = field(default_factory=lambda: PhotometricSettings(probability=0.35))

    def __post_init__(self) -> None:
        check_kinds(self)
        check_size_hw(self, 8, "size_hw")
        check_whole(self, 0, "most_objects", "most_occluders")
        check_range(self, "[0, 1.5]", "tilt")
        low, high = self.shorter_side
        if not 1.0 <= low <= high <= min(self.size_hw):
            raise InputError(f"shorter_side must rise from 1 to {min(self.size_hw)} at most, got {low} and {high}")


@dataclass(frozen=True, eq=False)
class Scene:
    """An image and the planar things in it.

    Args:
        image: uint8 (H, W).
        corners: float32 (N, 4, 2), (x, y) in pixels: the outer corners of each template in the template's own order,
            its top-left corner first, then clockwise as it is looked at; they may lie outside the image.
        visible: float32 (N,) in [0, 1], the share of each template's area in the scene that is seen.
        templates: int64 (N,), the number of each template.
    """

    image: NDArray[np.uint8]
    corners: NDArray[np.float32]
    visible: NDArray[np.float32]
    templates: NDArray[np.int64]


class SceneStream:
    """Scene number `index` of a seed, the same whatever was drawn before, by whichever process.

    Args:
        templates: uint8 (h, w) pictures that are to be found.
        backgrounds: uint8 (h, w) pictures for the wall and for what hides templates; without any, textures are drawn.
        seed: Together with the number it decides a scene.
        settings: None stands for `SceneSettings()`.
        stream: Name of the sequence; training and evaluation have different ones.

    Raises:
        ValueError: There is no template.
    """

    def __init__(
        self,
        templates: Sequence[NDArray[np.uint8]],
        backgrounds: Sequence[NDArray[np.uint8]] = (),
        seed: int = 0,
        settings: SceneSettings | None = None,
        stream: str = "training",
    ) -> None:
        if not len(templates):
            raise InputError("scenes need templates: pictures, or boards that are drawn")
        self.settings = settings or SceneSettings()
        self._templates, self._backgrounds = templates, backgrounds
        self._seed, self._stream = seed, f"scenes {stream}"

    def __getitem__(self, index: int) -> Scene:
        rng = sample_generator(self._seed, self._stream, index)
        return self.relit(self._render(rng), rng)

    def rendered(self, index: int) -> Scene:
        """The scene before its light is changed."""
        return self._render(sample_generator(self._seed, self._stream, index))

    def relit(self, scene: Scene, rng: Generator) -> Scene:
        """A scene in another light, as the settings have it."""
        return dataclasses.replace(scene, image=augment_photometric(scene.image, self.settings.photometric, rng))

    def _render(self, rng: Generator) -> Scene:
        settings = self.settings
        camera = _camera(settings.size_hw)
        chosen = rng.integers(len(self._templates), size=rng.integers(settings.most_objects + 1))
        objects = [self._hang(self._templates[number], camera, rng) for number in chosen]
        wall = _facing(self._texture(rng, settings.size_hw), camera)
        view = render([*objects, wall], camera, _SAMPLES)
        image, surface = view.image.copy(), view.surface.copy()
        for _ in range(rng.integers(settings.most_occluders + 1)):
            surface[self._hide(image, rng)] = len(objects)
        corners = np.array([_corners(plane, camera) for plane in objects]).reshape(-1, 4, 2)
        seen = np.bincount(surface.ravel(), minlength=len(objects) + 1)[: len(objects)]
        areas = np.array([abs(cv2.contourArea(quad.astype(np.float32))) for quad in corners])
        visible = np.minimum(seen / np.maximum(areas, 1e-6), 1.0)
        return Scene(image, corners.astype(np.float32), visible.astype(np.float32), chosen.astype(np.int64))

    def _hang(self, template: NDArray[np.uint8], camera: Camera, rng: Generator) -> TexturedPlane:
        """A template somewhere in the scene, turned and tilted."""
        low, high = self.settings.shorter_side
        side = low * (high / low) ** rng.random()
        tilt = self.settings.tilt * rng.random()
        return _place(template, side, tilt, rng.uniform(_NEAREST, _FARTHEST), camera, rng)

    def _hide(self, image: NDArray[np.uint8], rng: Generator) -> NDArray[np.bool_]:
        """Draws something round or ragged in front of all, which is no quadrilateral, and returns where, (H, W)."""
        height, width = image.shape
        radius = rng.uniform(*_OCCLUDER) * min(height, width)
        centre = rng.uniform((0.0, 0.0), (width, height))
        angles = np.linspace(0, 2 * np.pi, _OUTLINE, endpoint=False)
        lengths = 1 + sum(
            rng.uniform(0, 0.3) * np.cos(order * angles + turn)
            for order, turn in zip((2, 3, 5), rng.uniform(0, 7, 3), strict=True)
        )
        outline = centre + radius * (lengths * (np.cos(angles), np.sin(angles))).T
        covered = np.zeros(image.shape, np.uint8)
        fixed = np.rint(outline * 2**_FRACTION_BITS).astype(np.int32)
        cv2.fillPoly(covered, [fixed], (255,), cv2.LINE_AA, _FRACTION_BITS)
        texture = cv2.resize(self._texture(rng, (height, width)), (width, height), interpolation=cv2.INTER_AREA)
        share = covered.astype(np.float32) / 255
        image[:] = np.rint(share * texture + (1 - share) * image)
        return np.asarray(covered > 127, np.bool_)

    def _texture(self, rng: Generator, size_hw: tuple[int, int]) -> NDArray[np.uint8]:
        """A part of a background of this form, or a drawn one."""
        height, width = size_hw
        if not len(self._backgrounds):
            return draw_background(height, width, rng)
        picture = self._backgrounds[int(rng.integers(len(self._backgrounds)))]
        rows, columns = picture.shape
        scale = rng.uniform(0.5, 1.0) * min(rows / height, columns / width)
        part = max(1, int(height * scale)), max(1, int(width * scale))
        top, left = int(rng.integers(rows - part[0] + 1)), int(rng.integers(columns - part[1] + 1))
        return picture[top : top + part[0], left : left + part[1]]


def draw_boards(count: int, seed: int = 0) -> list[NDArray[np.uint8]]:
    """Boards and cards of `synthetic_shapes`, uint8 (120, 160), always the same for a seed."""
    return [
        render_shape(BOARDS[index % len(BOARDS)], BOARD_SIZE_HW, sample_generator(seed, "board", index))[0]
        for index in range(count)
    ]


def _camera(size_hw: tuple[int, int]) -> Camera:
    height, width = size_hw
    focal = _FOCAL * width
    K = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
    return Camera(K, np.eye(3), np.zeros(3), (width, height))


def _place(
    texture: NDArray[np.uint8], side: float, tilt: float, depth: float, camera: Camera, rng: Generator
) -> TexturedPlane:
    """A picture whose shorter side would be so many pixels long if it faced the camera at its depth."""
    width, height = camera.image_size
    centre = rng.uniform(-_BEYOND, 1 + _BEYOND, 2) * (width, height) - 0.5
    roll, axis = rng.uniform(0, 2 * np.pi, 2)
    [ray] = camera.rays(centre[None])
    rows, columns = texture.shape
    scale = side * depth / camera.K[0, 0] / min(rows, columns)
    R = _tilted(tilt, axis) @ _turned(roll)
    right, down = R[:, 0] * scale * columns, R[:, 1] * scale * rows
    return TexturedPlane(texture, ray * depth - (right + down) / 2, right, down)


def _facing(texture: NDArray[np.uint8], camera: Camera) -> TexturedPlane:
    """A picture that fills the image, at the depth of the wall."""
    width, height = camera.image_size
    [first, across, along] = camera.rays(np.array([[-0.5, -0.5], [width - 0.5, -0.5], [-0.5, height - 0.5]])) * _WALL
    return TexturedPlane(texture, first, across - first, along - first)


def _corners(plane: TexturedPlane, camera: Camera) -> Floats:
    """Where the image shows the outer corners of a plane's picture, (4, 2), in the picture's own order."""
    corner, right, down = plane.corner, plane.right, plane.down
    return camera.project([corner, corner + right, corner + right + down, corner + down])[0]


def _turned(angle: float) -> Floats:
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])


def _tilted(angle: float, axis: float) -> Floats:
    """A rotation about an axis in the plane of the image."""
    cosine, sine = np.cos(angle), np.sin(angle)
    across = np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]])
    tilted: Floats = _turned(axis) @ across @ _turned(-axis)
    return tilted
