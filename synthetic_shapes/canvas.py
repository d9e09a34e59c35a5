"""An antialiased drawing surface whose edges lie where the caller's float coordinates say."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

SUPERSAMPLING = 2
"""Linear factor of the drawing surface over the final image."""

_FRACTION_BITS = 8
_FIXED_POINT = float(1 << _FRACTION_BITS)

OPENCV_SPREAD = 2.0 / 3.0 / SUPERSAMPLING
"""How far (final pixels) OpenCV's antialiased fills reach beyond the outline that they are given.

OpenCV fills a polygon and then strokes its outline with an antialiased line, so that the covered area grows by 2/3 of
a pixel of the drawing surface along the whole outline: measured as (covered area - true area) / perimeter, and held by
``tests/synthetic_shapes/test_canvas.py`` for the OpenCV that is installed. Outlines are moved inwards by as much.
"""


class Canvas:
    """Filled shapes drawn over a background, without aliasing and without displacement.

    Shapes are painted on a surface of twice the size, which ``image`` averages back in 2x2 blocks. Coordinates are
    final pixels, (x, y), the centre of the top-left pixel being (0, 0).
    """

    def __init__(self, background: NDArray[np.uint8]) -> None:
        """Starts from a uint8 (H, W) background, which is kept unchanged as ``background``."""
        self.background = background
        self.height, self.width = background.shape
        self._surface = cv2.resize(
            background,
            (self.width * SUPERSAMPLING, self.height * SUPERSAMPLING),
            interpolation=cv2.INTER_NEAREST,
        )

    def polygon(self, corners: NDArray[np.floating], grey: float, inset: float = 0.0) -> None:
        """Fills a simple polygon, (N, 2) corners in either orientation, moved inwards by ``inset`` pixels."""
        outline = _fixed_point(inset_polygon(corners, OPENCV_SPREAD + inset))
        cv2.fillPoly(self._surface, [outline], grey, cv2.LINE_AA, _FRACTION_BITS)

    def quads(self, corners: NDArray[np.floating], greys: Sequence[float]) -> None:
        """Fills K convex quadrilaterals of one orientation, (K, 4, 2), each in its own grey, in order."""
        outlines = _fixed_point(inset_polygon(corners, OPENCV_SPREAD))
        for outline, grey in zip(outlines, greys, strict=True):
            cv2.fillConvexPoly(self._surface, outline, grey, cv2.LINE_AA, _FRACTION_BITS)

    def line(self, start: tuple[float, float], end: tuple[float, float], thickness: float, grey: float) -> None:
        """Draws a straight stroke of at least 0.8 pixels with flat ends exactly at ``start`` and ``end``."""
        (x0, y0), (x1, y1) = start, end
        length = float(np.hypot(x1 - x0, y1 - y0))
        along_x, along_y = (x1 - x0) / length, (y1 - y0) / length
        cut_x, cut_y = along_x * OPENCV_SPREAD, along_y * OPENCV_SPREAD
        half = thickness / 2 - OPENCV_SPREAD
        across_x, across_y = -along_y * half, along_x * half
        x0, y0, x1, y1 = x0 + cut_x, y0 + cut_y, x1 - cut_x, y1 - cut_y
        outline = np.array(
            (
                (x0 + across_x, y0 + across_y),
                (x1 + across_x, y1 + across_y),
                (x1 - across_x, y1 - across_y),
                (x0 - across_x, y0 - across_y),
            )
        )
        cv2.fillConvexPoly(self._surface, _fixed_point(outline), grey, cv2.LINE_AA, _FRACTION_BITS)

    def ellipse(self, centre: tuple[float, float], axes: tuple[float, float], degrees: float, grey: float) -> None:
        """Fills an ellipse with half axes ``axes``, turned by ``degrees`` from x towards y."""
        position = _fixed_point(np.array(centre))
        scale = SUPERSAMPLING * _FIXED_POINT
        half_axes = [round((axis - OPENCV_SPREAD) * scale) for axis in axes]
        cv2.ellipse(
            self._surface,
            (int(position[0]), int(position[1])),
            (half_axes[0], half_axes[1]),
            degrees,
            0,
            360,
            grey,
            cv2.FILLED,
            cv2.LINE_AA,
            _FRACTION_BITS,
        )

    def replace(self, image: NDArray[np.float32]) -> None:
        """Covers everything with a float (H, W) image in grey levels, clipped to [0, 255]."""
        levels = np.clip(np.rint(image), 0, 255).astype(np.uint8)
        self._surface = cv2.resize(levels, self._surface.shape[::-1], interpolation=cv2.INTER_NEAREST)

    def image(self) -> NDArray[np.uint8]:
        """The finished uint8 (H, W) image; where nothing was drawn it equals the background to the byte."""
        return cv2.resize(self._surface, (self.width, self.height), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def inset_polygon(corners: NDArray[np.floating], distance: float) -> NDArray[np.float64]:
    """Moves every edge of (..., N, 2) polygons inwards by ``distance``, keeping the corners sharp.

    The orientation is read from the sign of the first polygon's area. Each corner moves to the meeting point of its
    two moved edges; at a tip sharper than 29 degrees the move is bounded by four times ``distance``, so that the tip
    stays inside the polygon.
    """
    points = np.asarray(corners, np.float64)
    following = np.concatenate((points[..., 1:, :], points[..., :1, :]), axis=-2)
    edges = following - points
    edges /= np.sqrt(edges[..., 0:1] ** 2 + edges[..., 1:2] ** 2)
    first, second = points.reshape(-1, points.shape[-2], 2)[0], following.reshape(-1, points.shape[-2], 2)[0]
    doubled_area = (first[:, 0] * second[:, 1] - second[:, 0] * first[:, 1]).sum()
    inward = -distance if doubled_area < 0 else distance
    before = np.concatenate((edges[..., -1:, :], edges[..., :-1, :]), axis=-2)
    # The sum s of the two unit normals has length 2 cos(turn / 2), and the edges' meeting point lies at
    # distance / cos(turn / 2) along it: that is s * distance / (1 + cos(turn)).
    cosine = (before * edges).sum(-1, keepdims=True)
    both = edges + before
    normals = np.stack((-both[..., 1], both[..., 0]), -1)
    moved: NDArray[np.float64] = points + normals * (inward / np.maximum(1.0 + cosine, 2.0 / 16.0))
    return moved


def _fixed_point(points: NDArray[np.float64]) -> NDArray[np.int32]:
    """Final pixel coordinates -> the drawing surface's fixed-point ones (pixel centres at integers in both)."""
    scaled = ((points + 0.5) * SUPERSAMPLING - 0.5) * _FIXED_POINT
    return np.rint(scaled).astype(np.int32)
