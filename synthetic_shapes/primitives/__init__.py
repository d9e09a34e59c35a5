"""The shapes that can be drawn, a file for each, and those of them that are drawn where nothing else is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ..canvas import Canvas
from .checkerboard import draw_checkerboard
from .cube import draw_cube
from .ellipses import draw_ellipses
from .gaussian_noise import draw_gaussian_noise
from .lines import draw_lines
from .multiple_polygons import draw_multiple_polygons
from .polygon import draw_polygon
from .star import draw_star
from .stripes import draw_stripes

Primitive = Callable[[Canvas, Generator], NDArray[np.float64]]
"""Draws on the canvas and returns the (N, 2) corners that it drew, (x, y); some may lie outside the image."""

PRIMITIVES: Mapping[str, Primitive] = MappingProxyType(
    {
        "lines": draw_lines,
        "polygon": draw_polygon,
        "multiple_polygons": draw_multiple_polygons,
        "ellipses": draw_ellipses,
        "star": draw_star,
        "checkerboard": draw_checkerboard,
        "stripes": draw_stripes,
        "cube": draw_cube,
        "gaussian_noise": draw_gaussian_noise,
    }
)
"""By name."""

STANDARD_SHAPES = (
    "lines",
    "polygon",
    "multiple_polygons",
    "ellipses",
    "star",
    "checkerboard",
    "stripes",
    "cube",
    "gaussian_noise",
)
"""The nine shapes that are drawn where nothing else is asked for, in the order in which they are numbered.

A tenth would change every sample of every seed. What is added to `PRIMITIVES` alone is drawn when it is named.
"""

SHAPES_WITH_KEYPOINTS = tuple(name for name in STANDARD_SHAPES if name not in ("ellipses", "gaussian_noise"))
"""The seven of them that have corners, in order: those of the pinned test set."""
