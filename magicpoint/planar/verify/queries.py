"""How a template is seen in a scene, cut out by corners that are known roughly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from homography import warp_points

from ...data.photometric import augment_photometric
from .crops import SQUARE, Floats, Grey, frame_of, from_to, mean_side, rectify, warped
from .orientation import Picture
from .settings import QuerySettings

_MARGIN = 0.15  # of the canvas around what is seen, in sides
_FRACTION_BITS = 4
_COVERS = 3  # tries to cover no more than may be hidden


@dataclass(frozen=True, eq=False)
class Query:
    """A quadrilateral of a scene as a square.

    Args:
        crop: uint8 (side, side).
        pixels: Mean side of the quadrilateral in the scene.
        blur: Standard deviation of the blur, in sides.
        hidden: Share of it that something else covers.
    """

    crop: NDArray[np.uint8]
    pixels: float
    blur: float
    hidden: float


def see(
    picture: Picture,
    corners: Floats,
    backgrounds: Sequence[Picture],
    settings: QuerySettings,
    side: int,
    rng: Generator,
) -> Query:
    """A part of a picture seen in a scene of its own.

    Args:
        picture: uint8 (H, W).
        corners: (4, 2), of the part in pixels of the picture.
        backgrounds: At least one.
        settings: How it is seen.
        side: Pixels of the crop, each way.
        rng: Decides all else.
    """
    placed, size = _place(settings, rng)
    scene = texture_part(backgrounds, size, rng)
    shown = _outline(placed, size)
    H = from_to(placed, corners)
    factor = mean_side(placed) / max(mean_side(corners), 1e-6)
    height, width = picture.shape
    whole = np.asarray(warp_points(SQUARE * (width, height) - 0.5, from_to(corners, placed)), np.float64)
    pasted = _outline(whole, size) if np.isfinite(whole).all() else shown
    _blend(scene, warped(picture, H, size, factor), pasted)
    hidden = _hide(scene, shown, backgrounds, settings.most_hidden, rng)
    blur = settings.blur * float(rng.random()) if rng.random() < 0.5 else 0.0
    if blur:
        scene = np.asarray(cv2.GaussianBlur(scene, (0, 0), max(0.1, blur * mean_side(placed))), np.uint8)
    lit = augment_photometric(scene, settings.photometric, rng)
    found = SQUARE + settings.jitter * rng.uniform(-1.0, 1.0, (4, 2))
    outline = np.asarray(warp_points(found, frame_of(placed)), np.float64)
    crop = np.asarray(rectify(lit, frame_of(outline), side), np.uint8)
    return Query(crop, mean_side(placed), blur, hidden)


def _place(settings: QuerySettings, rng: Generator) -> tuple[Floats, tuple[int, int]]:
    """Corners (4, 2) at any angle in a canvas of a size (W, H)."""
    low, high = settings.pixels
    long = low * (high / low) ** rng.random()
    sides = np.array([long, max(low, long * rng.uniform(settings.aspect, 1.0))])
    square = SQUARE + settings.distortion * rng.uniform(-1.0, 1.0, (4, 2))
    angle = rng.uniform(0.0, 2 * np.pi)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    corners = (square * (sides if rng.random() < 0.5 else sides[::-1])) @ turn
    margin = _MARGIN * long + 2
    corners = corners - corners.min(axis=0) + margin
    width, height = np.ceil(corners.max(axis=0) + margin).astype(int).tolist()
    return corners, (width, height)


def _outline(corners: Floats, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Where a canvas shows a quadrilateral, uint8 (H, W) up to 255."""
    mask = np.zeros(size[::-1], np.uint8)
    limited = np.clip(corners, -4.0 * max(size), 5.0 * max(size))
    fixed = np.rint(limited * 2**_FRACTION_BITS).astype(np.int32)
    cv2.fillConvexPoly(mask, fixed, (255,), cv2.LINE_AA, _FRACTION_BITS)
    return mask


def texture_part(backgrounds: Sequence[Picture], size: tuple[int, int], rng: Generator) -> NDArray[np.uint8]:
    """A part of a background, stretched to a size (W, H): uint8 (H, W)."""
    picture = backgrounds[int(rng.integers(len(backgrounds)))]
    rows, columns = (max(1, int(length * rng.uniform(0.2, 1.0))) for length in picture.shape)
    top, left = (int(rng.integers(all_ - part + 1)) for all_, part in zip(picture.shape, (rows, columns), strict=True))
    part = picture[top : top + rows, left : left + columns]
    return np.array(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)


def _blend(scene: NDArray[np.uint8], over: Grey, mask: NDArray[np.uint8]) -> None:
    share = mask.astype(np.float32) / 255
    scene[:] = np.rint(share * over + (1 - share) * scene)


def _hide(
    scene: NDArray[np.uint8], shown: NDArray[np.uint8], backgrounds: Sequence[Picture], most: float, rng: Generator
) -> float:
    """Draws something round over half of the scenes and returns the share of what is shown that it covers."""
    covers, texture = rng.random() < 0.5, texture_part(backgrounds, (scene.shape[1], scene.shape[0]), rng)
    flat = rng.random() < 0.5
    if flat:
        texture[:] = rng.integers(256)
    area = max(1.0, float(shown.sum(dtype=np.int64)))
    for _ in range(_COVERS if covers else 0):
        mask = np.zeros_like(scene)
        axes = rng.uniform(0.08, 0.4, 2) * np.sqrt(area / 255)
        centre = rng.uniform((0, 0), (scene.shape[1], scene.shape[0]))
        box = (centre.tolist(), (2 * axes).tolist(), float(rng.uniform(0, 180)))
        cv2.ellipse(mask, box, (255,), -1, cv2.LINE_AA)
        share = float(cv2.multiply(mask, shown, scale=1 / 255).sum(dtype=np.int64)) / area
        if share <= most:
            _blend(scene, texture, mask)
            return share
    return 0.0
