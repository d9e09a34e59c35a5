"""Pictures of keypoints on their image."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ..core.files import AnyPath
from ..core.types import Features
from ..io.images import write_png
from ..io.png_text import title_of

KIND = "a picture of keypoints"
_TITLE = "keypoints"

_RADIUS = 3
_FRACTION_BITS = 4


def draw_keypoints(grey: NDArray[np.float32], features: Features) -> NDArray[np.uint8]:
    """Draw a circle of radius 3 around each keypoint, at its sub-pixel position.

    Args:
        grey: (H, W) in [0, 1].
        features: Their scores, from 0 to the largest, give the colours from red over yellow to green; the best lie on
            top.

    Returns:
        uint8 (H, W, 3), red first.

    Raises:
        ValueError: The features are of an image of another size.
    """
    height, width = grey.shape
    if features.image_size != (width, height):
        raise ValueError(f"features of an image of {features.image_size} do not fit one of {(width, height)}")
    picture = cv2.cvtColor(np.rint(grey * 255).astype(np.uint8), cv2.COLOR_GRAY2BGR)
    order = features.keypoint_scores.argsort(stable=True).cpu()
    colours = _colours(features.keypoint_scores.cpu()[order].numpy())
    centres = np.rint(features.keypoints.cpu()[order].numpy() * (1 << _FRACTION_BITS)).astype(int).tolist()
    for centre, colour in zip(centres, colours, strict=True):
        cv2.circle(picture, tuple(centre), _RADIUS << _FRACTION_BITS, colour, 1, cv2.LINE_AA, _FRACTION_BITS)
    return np.ascontiguousarray(picture[..., ::-1], np.uint8)


def _colours(scores: NDArray[np.float32]) -> list[list[int]]:
    """Bright colours, blue first: a hue from red (0) to green (60 of OpenCV's 180) for scores from 0 to the largest."""
    hsv = np.full((len(scores), 1, 3), 255, np.uint8)
    if not len(scores):
        return []
    hsv[:, 0, 0] = np.rint(60.0 * scores / max(float(scores.max()), 1e-9))
    colours: list[list[int]] = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)[:, 0].tolist()
    return colours


def overlay_path(folder: AnyPath, key: str) -> Path:
    """Where the picture of an image goes: its key under the folder, with .png behind it unless it ends so."""
    return Path(folder) / (key if key.lower().endswith(".png") else f"{key}.png")


def write_overlay(path: AnyPath, grey: NDArray[np.float32], features: Features) -> Path:
    """Write the picture of `draw_keypoints` as a PNG file, in full or not at all.

    Raises:
        OSError: It cannot be written.
        ValueError: See `draw_keypoints`.
    """
    return write_png(path, draw_keypoints(grey, features), _TITLE)


def is_overlay(path: Path) -> bool:
    """Whether a file is one that `write_overlay` wrote."""
    return title_of(path) == _TITLE
