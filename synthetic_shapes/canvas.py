"""An antialiased drawing surface whose edges lie where the caller's float coordinates say."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

SUPERSAMPLING = 2
"""Linear factor of the drawing surface over the final image."""

_FRACTION_BITS = 8
_SCALE = float(SUPERSAMPLING << _FRACTION_BITS)
_SHIFT = (0.5 * SUPERSAMPLING - 0.5) * (1 << _FRACTION_BITS)
"""Final pixels -> fixed-point pixels of the surface: p * _SCALE + _SHIFT; pixel centres are at integers in both."""

OPENCV_SPREAD = 2.0 / 3.0 / SUPERSAMPLING
"""How far (final pixels) OpenCV's antialiased fills reach beyond the outline that they are given.

OpenCV fills a polygon and then strokes its outline with an antialiased line, so that the covered area grows by 2/3 of
a pixel of the drawing surface along the whole outline: measured as (covered area - true area) / perimeter, and held by
`tests/synthetic_shapes/test_canvas.py` for the OpenCV that is installed. Outlines are moved inwards by as much.
"""

_END_SPREAD = 0.5 / SUPERSAMPLING
"""The same at the short ends of a stroke, where the outline's own line has ends too."""

_FILL_INSET = 0.5 / SUPERSAMPLING
_SHARPEST = 2.0 / 16.0


class Canvas:
    """Filled shapes drawn over a background, without aliasing and without displacement.

    Shapes are painted on a surface of twice the size, which `image` averages back in 2x2 blocks. Points are complex
    numbers x + iy in final pixels, the centre of the top-left pixel being 0: so the vector arithmetic of outlines is
    that of plain numbers.
    """

    def __init__(self, background: NDArray[np.uint8]) -> None:
        """Starts from a uint8 (H, W) background."""
        self.height, self.width = background.shape
        low, high = cv2.minMaxLoc(background)[:2]
        self.background_range = (low, high)
        """The background's darkest and lightest grey."""
        self._surface = _enlarged(background)

    def polygon(self, corners: Sequence[complex], grey: float, inset: float = 0.0) -> None:
        """Fills a simple polygon, corners in either orientation, moved inwards by `inset` pixels."""
        inwards, inset = inward_steps(corners), inset + OPENCV_SPREAD
        outline = _fixed_point([corner + inset * step for corner, step in zip(corners, inwards, strict=True)])
        # fillPoly rounds the rows of the corners, which only shows beyond the outline: fill a little less, then stroke.
        inset += _FILL_INSET
        filling = _fixed_point([corner + inset * step for corner, step in zip(corners, inwards, strict=True)])
        cv2.fillPoly(self._surface, [filling], grey, cv2.LINE_8, _FRACTION_BITS)
        cv2.polylines(self._surface, [outline], True, grey, 1, cv2.LINE_AA, _FRACTION_BITS)

    def quads(self, corners: NDArray[np.complex128], greys: Sequence[float]) -> None:
        """Fills K convex quadrilaterals of one orientation, (K, 4), each in its own grey, in order."""
        moved = inset_quads(corners, OPENCV_SPREAD) * _SCALE + complex(_SHIFT, _SHIFT)
        outlines = np.rint(moved.view(np.float64)).astype(np.int32).reshape(-1, 4, 2)
        for outline, grey in zip(outlines, greys, strict=True):
            cv2.fillConvexPoly(self._surface, outline, grey, cv2.LINE_AA, _FRACTION_BITS)

    def line(self, start: complex, end: complex, thickness: float, grey: float) -> None:
        """Draws a straight stroke of at least 0.8 pixels with flat ends exactly at `start` and `end`."""
        along = (end - start) / abs(end - start)
        across = 1j * along * (thickness / 2.0 - OPENCV_SPREAD)
        start, end = start + along * _END_SPREAD, end - along * _END_SPREAD
        outline = _fixed_point((start + across, end + across, end - across, start - across))
        cv2.fillConvexPoly(self._surface, outline, grey, cv2.LINE_AA, _FRACTION_BITS)

    def ellipse(self, centre: complex, axes: tuple[float, float], degrees: float, grey: float) -> None:
        """Fills an ellipse with half axes `axes` above 0.4 pixels, turned by `degrees` from x towards y."""
        middle = round(centre.real * _SCALE + _SHIFT), round(centre.imag * _SCALE + _SHIFT)
        half_axes = [round((axis - OPENCV_SPREAD) * _SCALE) for axis in axes]
        cv2.ellipse(self._surface, middle, half_axes, degrees, 0, 360, grey, cv2.FILLED, cv2.LINE_AA, _FRACTION_BITS)

    def disc(self, centre: complex, radius: float, grey: float) -> None:
        """Fills a circle of at least 0.5 pixels radius; OpenCV draws small ones up to 0.2 pixels smaller."""
        middle = round(centre.real * _SCALE + _SHIFT), round(centre.imag * _SCALE + _SHIFT)
        reach = round((radius - OPENCV_SPREAD) * _SCALE)
        cv2.circle(self._surface, middle, reach, grey, cv2.FILLED, cv2.LINE_AA, _FRACTION_BITS)

    def replace(self, image: NDArray[np.uint8]) -> None:
        """Covers everything with a uint8 (H, W) image."""
        self._surface = _enlarged(image)

    def image(self) -> NDArray[np.uint8]:
        """The finished uint8 (H, W) image; where nothing was drawn it equals the background to the byte."""
        return cv2.resize(self._surface, (self.width, self.height), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def _enlarged(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Every pixel of (H, W) as a block of the drawing surface; faster than `cv2.resize` with INTER_NEAREST."""
    height, width = image.shape
    widened: NDArray[np.uint8] = cv2.merge([image] * SUPERSAMPLING).reshape(height, width * SUPERSAMPLING)  # type: ignore[assignment]
    return widened.repeat(SUPERSAMPLING, axis=0)


def inward_steps(corners: Sequence[complex]) -> list[complex]:
    """Where each corner of a simple polygon goes, relative to where it is, when all edges move inwards by one pixel.

    That is where the two moved edges meet; at a tip sharper than 29 degrees no farther than four pixels, so that a tip
    that moves by a part of a pixel stays inside the polygon. For few corners plain numbers are faster than arrays.
    """
    units, doubled_area = [], 0.0
    for k, corner in enumerate(corners):
        edge = corners[k + 1 - len(corners)] - corner
        units.append(edge / abs(edge))
        doubled_area += (corner.conjugate() * edge).imag
    inwards = complex(0.0, math.copysign(1.0, doubled_area))
    steps = []
    for k, unit in enumerate(units):
        # The sum of the two edges' unit normals has length 2 cos(turn / 2), and the edges' meeting point lies at
        # 1 / cos(turn / 2) along it: that is the sum over half its squared length.
        both = units[k - 1] + unit
        steps.append(inwards * both / max((both * both.conjugate()).real / 2.0, _SHARPEST))
    return steps


def inset_quads(corners: NDArray[np.complex128], distance: float) -> NDArray[np.complex128]:
    """Moves the edges of K convex quadrilaterals of one orientation, (K, 4), inwards by `distance` pixels."""
    edges = corners.take((1, 2, 3, 0), axis=1) - corners
    edges /= np.abs(edges)
    both = edges + edges.take((3, 0, 1, 2), axis=1)
    first, second = edges[0, :2].tolist()
    turn = (first.conjugate() * second).imag
    return corners + complex(0.0, math.copysign(2.0 * distance, turn)) / both.conj()


def _fixed_point(points: Sequence[complex]) -> NDArray[np.int32]:
    """Final pixel coordinates -> the drawing surface's fixed-point ones."""
    numbers = []
    for z in points:
        numbers.append(round(z.real * _SCALE + _SHIFT))
        numbers.append(round(z.imag * _SCALE + _SHIFT))
    return np.array(numbers, np.int32).reshape(-1, 2)
