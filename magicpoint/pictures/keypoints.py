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
from .canvas import Drawable, add_legend, as_colours, score_colours

KIND = "a picture of keypoints"
_TITLE = "keypoints"

_RADIUS, _HALO = 3, (0, 0, 0)
_FRACTION_BITS = 4
_SCALE_STEPS = 48  # of the colours in the legend


def draw_keypoints(image: Drawable, features: Features) -> NDArray[np.uint8]:
    """Draw a circle of radius 3 around each keypoint, at its sub-pixel position.

    Args:
        image: (H, W) in [0, 1], or uint8 (H, W, 3), red first.
        features: Their scores, from 0 to the largest, give the colours from red over yellow to cyan; the best lie on
            top.

    Returns:
        uint8 (H, W, 3), red first.

    Raises:
        ValueError: The features are of an image of another size.
    """
    height, width = image.shape[:2]
    if features.image_size != (width, height):
        raise ValueError(f"features of an image of {features.image_size} do not fit one of {(width, height)}")
    picture = as_colours(image)
    scores = features.keypoint_scores.cpu().numpy()
    order = np.argsort(scores, kind="stable")
    colours = score_colours(scores[order] / max(float(scores.max(initial=0.0)), 1e-9)).tolist()
    centres = np.rint(features.keypoints.cpu().numpy()[order] * (1 << _FRACTION_BITS)).astype(int).tolist()
    for centre, colour in zip(centres, colours, strict=True):
        for radius, ink in ((_RADIUS + 1, _HALO), (_RADIUS, colour)):  # seen on a ground of any colour
            cv2.circle(picture, tuple(centre), radius << _FRACTION_BITS, ink, 1, cv2.LINE_AA, _FRACTION_BITS)
    return picture


def overlay_path(folder: AnyPath, key: str) -> Path:
    """Where the picture of an image goes: its key under the folder, with .png behind it unless it ends so."""
    return Path(folder) / (key if key.lower().endswith(".png") else f"{key}.png")


def write_overlay(path: AnyPath, image: Drawable, features: Features) -> Path:
    """Write the picture of `draw_keypoints`, with a legend below it, as a PNG file, in full or not at all.

    Raises:
        OSError: It cannot be written.
        ValueError: See `draw_keypoints`.
    """
    picture = draw_keypoints(image, features)
    best = float(features.keypoint_scores.max()) if len(features) else 0.0
    scale = score_colours(np.linspace(0, 1, _SCALE_STEPS, dtype=np.float32))
    legend = [(f"score 0 to {best:.2g}", scale), (f"{len(features)} keypoints", None)]
    return write_png(path, add_legend(picture, legend), _TITLE)


def is_overlay(path: AnyPath) -> bool:
    """Whether a file is one that `write_overlay` wrote."""
    return title_of(Path(path)) == _TITLE
