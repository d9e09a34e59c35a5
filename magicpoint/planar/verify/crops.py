"""What lies under a quadrilateral, as a square."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from homography import warp_points
from homography.warp import inverse_homography, resizing

from ..frames import UNIT_SQUARE

Floats = NDArray[np.float64]
Grey = NDArray[np.uint8] | NDArray[np.float32]

SQUARE = np.array(UNIT_SQUARE)


def frame_of(corners: Floats) -> Floats:
    """The homography, (3, 3), that lays the unit square over a convex quadrilateral (4, 2)."""
    return np.asarray(cv2.getPerspectiveTransform(SQUARE.astype(np.float32), corners.astype(np.float32)), np.float64)


def mean_side(corners: Floats) -> float:
    """The mean length of the sides of a quadrilateral (4, 2)."""
    return float(np.hypot(*(np.roll(corners, -1, axis=0) - corners).T).mean())


def rectify(image: Grey, frame: Floats, side: int) -> Grey:
    """What an image shows under a quadrilateral, as a square.

    Args:
        image: uint8 or float32 (H, W).
        frame: (3, 3), from the unit square to pixels, see `frame_of` and `frames.rectified_frames`.
        side: Pixels of the square, each way.

    Returns:
        (side, side), of the image's kind; beyond the image its outermost pixels go on. What is shrunk is smoothed.
    """
    corners = np.asarray(warp_points(SQUARE, frame), np.float64)
    corners = np.nan_to_num(corners, nan=0.0)
    first = np.clip(np.floor(corners.min(axis=0)) - 1, 0, (image.shape[1] - 1, image.shape[0] - 1)).astype(int)
    last = np.clip(np.ceil(corners.max(axis=0)) + 2, first + 1, image.shape[::-1]).astype(int)
    part = image[first[1] : last[1], first[0] : last[0]]
    to_part = np.array([[1.0, 0, -first[0]], [0, 1, -first[1]], [0, 0, 1]])
    to_unit = np.array([[1 / side, 0, 0.5 / side], [0, 1 / side, 0.5 / side], [0, 0, 1]])
    return warped(part, to_part @ frame @ to_unit, (side, side), side / max(mean_side(corners), 1e-6))


def warped(image: Grey, H_1to0: Floats, size: tuple[int, int], factor: float) -> Grey:
    """View 1, (W, H) pixels, of an image, whose outermost pixels go on beyond it.

    Args:
        image: uint8 or float32 (H, W).
        H_1to0: From view 1 to the image.
        size: Of view 1.
        factor: By how much larger view 1 shows it; where it is below 1 the image is shrunk first, so that nothing finer
            than a pixel of view 1 is left.
    """
    if factor < 1:
        old = image.shape[1], image.shape[0]
        new = max(1, round(old[0] * factor)), max(1, round(old[1] * factor))
        image, H_1to0 = cv2.resize(image, new, interpolation=cv2.INTER_AREA), resizing(old, new) @ H_1to0  # type: ignore[assignment]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpPerspective(image, H_1to0, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[return-value]


def from_to(corners0: Floats, corners1: Floats) -> Floats:
    """The homography, (3, 3), from one convex quadrilateral (4, 2) to another."""
    return frame_of(corners1) @ inverse_homography(frame_of(corners0))
