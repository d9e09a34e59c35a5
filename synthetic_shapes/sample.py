"""One seed and one number make one image with its keypoints."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .background import add_grain, draw_background
from .canvas import Canvas
from .primitives import PRIMITIVES, STANDARD_SHAPES
from .seeding import sample_generator
from .sizes import SizeHW
from .visibility import visible_corners

__all__ = ["MIN_SIDE", "ShapeSettings", "render_sample", "render_shape", "sample_generator"]

MIN_SIDE = 48
"""Smallest height or width (pixels) in which the shapes have room."""


@dataclass(frozen=True)
class ShapeSettings:
    """What is rendered.

    Args:
        size: Height and width of the images, in pixels.
        shapes: Names of the shapes to draw; sample i shows shape number i modulo their count.
    """

    size: SizeHW = (120, 160)
    shapes: tuple[str, ...] = STANDARD_SHAPES

    def __post_init__(self) -> None:
        if len(self.size) != 2 or min(self.size) < MIN_SIDE:
            raise ValueError(f"size must be (height, width) of at least {MIN_SIDE} pixels each, got {self.size}")
        unknown = [name for name in self.shapes if name not in PRIMITIVES]
        if unknown or not self.shapes:
            raise ValueError(f"unknown shapes {unknown}: choose from {', '.join(PRIMITIVES)}")


def render_sample(
    seed: int, index: int, settings: ShapeSettings | None = None, stream: str = "training"
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Renders sample ``index`` of ``seed``.

    Returns:
        The image, uint8 (H, W), and its visible keypoints, float32 (N, 2), (x, y) in pixels, the centre of the top-left
        pixel being (0, 0). Both depend on the arguments alone.

    Examples:
        >>> image, keypoints = render_sample(seed=0, index=0)
        >>> image.shape, image.dtype, keypoints.dtype
        ((120, 160), dtype('uint8'), dtype('float32'))
        >>> again, _ = render_sample(seed=0, index=0)
        >>> bool((image == again).all())
        True
    """
    settings = settings or ShapeSettings()
    return render_shape(
        settings.shapes[index % len(settings.shapes)], settings.size, sample_generator(seed, stream, index)
    )


def render_shape(
    shape: str, size: tuple[int, int], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Renders one named shape at ``size`` (height, width); returns as ``render_sample`` does."""
    canvas = Canvas(draw_background(*size, rng))
    corners = PRIMITIVES[shape](canvas, rng)
    image = canvas.image()
    keypoints = visible_corners(image, corners)
    if rng.random() < 0.5:
        image = add_grain(image, rng)
    return image, keypoints
