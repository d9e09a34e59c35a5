"""Solids as a comparison sees them: the entries of a codebook, and what a detector cuts out of a scene."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator

from ...data.photometric import PhotometricSettings, augment_photometric
from ...data.scenes3d.camera import Floats
from ..verify.crops import SQUARE, frame_of, rectify
from ..verify.orientation import Picture
from ..verify.queries import texture_part
from .solid import Solid, view

BEHIND = 128
"""Grey level behind the views of a codebook."""

PIXELS = 32.0, 128.0
"""Least and largest side of the square around a solid, in pixels of the scene."""

LIGHT = PhotometricSettings(probability=0.35)
"""The changes of light, lens, sensor and file."""

JITTER = 0.03
"""Largest error of each corner of a query's square, in sides."""


def entry(solid: Solid, R: Floats, side: int) -> Picture:
    """A view of a codebook, uint8 (side, side)."""
    image, mask = view(solid, R, side)
    return np.where(mask, image, np.uint8(BEHIND)).astype(np.uint8)


def seen(
    solid: Solid,
    R: Floats,
    backgrounds: Sequence[Picture],
    photometric: PhotometricSettings,
    side: int,
    rng: Generator,
    jitter: float = JITTER,
) -> tuple[Picture, int]:
    """What a detector would cut out of a scene with the solid in it.

    Args:
        solid: It.
        R: (3, 3), how it lies, see `solid.view`.
        backgrounds: Behind it; at least one.
        photometric: The changes of light, lens, sensor and file.
        side: Pixels of the square, each way.
        rng: Decides all else.
        jitter: Largest error of each corner, in sides.

    Returns:
        uint8 (side, side), and how many pixels of the scene its side was long.
    """
    pixels = round(PIXELS[0] * (PIXELS[1] / PIXELS[0]) ** rng.random())
    image, mask = view(solid, R, pixels)
    scene = np.where(mask, image, texture_part(backgrounds, (pixels, pixels), rng)).astype(np.uint8)
    lit = augment_photometric(scene, photometric, rng)
    corners = (SQUARE + jitter * rng.uniform(-1.0, 1.0, (4, 2))) * pixels - 0.5
    return np.asarray(rectify(lit, frame_of(corners), side), np.uint8), pixels
