"""One seed and one number make one image with its keypoints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .background import add_grain, draw_background
from .canvas import Canvas
from .primitives import PRIMITIVES, STANDARD_SHAPES
from .seeding import sample_generator
from .sizes import SizeHW
from .visibility import visible_corners

__all__ = ["MIN_SIDE", "Sample", "ShapeSettings", "render_sample", "render_shape", "sample_generator"]

MIN_SIDE = 48
"""Smallest height or width (pixels) in which the shapes have room."""


class Sample(NamedTuple):
    """An image with its keypoints.

    `image` is uint8 (H, W); `keypoints` float32 (N, 2), (x, y) in pixels, the centre of the top-left pixel being
    (0, 0).
    """

    image: NDArray[np.uint8]
    keypoints: NDArray[np.float32]


MAX_SIDE = 8192
"""Of a rendered image, in pixels: a larger one would take more memory than a computer has."""


@dataclass(frozen=True)
class ShapeSettings:
    """What is rendered.

    Args:
        size_hw: Height and width of the images, in pixels.
        shapes: Names of the shapes to draw; sample i shows shape number i modulo their count.
    """

    size_hw: SizeHW = (120, 160)
    shapes: tuple[str, ...] = STANDARD_SHAPES

    def __post_init__(self) -> None:
        sides = self.size_hw if isinstance(self.size_hw, (tuple, list)) else ()
        whole = all(isinstance(side, int) and not isinstance(side, bool) for side in sides)
        if len(sides) != 2 or not whole or not MIN_SIDE <= min(sides) <= max(sides) <= MAX_SIDE:
            raise ValueError(
                f"size_hw must be (height, width) of {MIN_SIDE} to {MAX_SIDE} pixels each, got {self.size_hw!r:.80}"
            )
        names = self.shapes if isinstance(self.shapes, (tuple, list)) else ()
        unknown = [name for name in names if not isinstance(name, str) or name not in PRIMITIVES]
        if unknown or not names:
            raise ValueError(f"shapes must be some of {', '.join(PRIMITIVES)}, got {unknown or self.shapes!r:.80}")


def render_sample(seed: int, index: int, settings: ShapeSettings | None = None, stream: str = "training") -> Sample:
    """Renders sample `index` of `seed` with its visible keypoints, which depends on the arguments alone.

    Examples:
        >>> image, keypoints = render_sample(seed=0, index=0)
        >>> image.shape, image.dtype, keypoints.dtype
        ((120, 160), dtype('uint8'), dtype('float32'))
        >>> again = render_sample(seed=0, index=0)
        >>> bool((image == again.image).all())
        True
    """
    settings = settings or ShapeSettings()
    shape = settings.shapes[index % len(settings.shapes)]
    return render_shape(shape, settings.size_hw, sample_generator(seed, stream, index))


def render_shape(shape: str, size_hw: tuple[int, int], rng: np.random.Generator) -> Sample:
    """Renders one named shape with its visible keypoints."""
    canvas = Canvas(draw_background(*size_hw, rng))
    corners = PRIMITIVES[shape](canvas, rng)
    image = canvas.image()
    keypoints = visible_corners(image, corners)
    if rng.random() < 0.5:
        image = add_grain(image, rng)
    return Sample(image, keypoints)
