"""The tracks of a video, drawn on its frames."""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np
from numpy.typing import NDArray

from ..matching.tracks import Tracks

TRAIL = 20
"""Places of a track that are drawn, with the present one."""

_RADIUS = 3
_FRACTION_BITS = 4


class Trails:
    """Where each track was in the last `TRAIL` frames that it was seen in."""

    def __init__(self) -> None:
        self._places: dict[int, deque[list[int]]] = {}

    def draw(self, grey: NDArray[np.float32], tracks: Tracks) -> NDArray[np.uint8]:
        """Draw the tracks that are seen in the next frame: a circle, and the way behind it, in one colour for each id.

        Args:
            grey: (H, W) in [0, 1].
            tracks: Of this frame.

        Returns:
            uint8 (H, W, 3), red first. New tracks are grey.
        """
        for track in tracks.ended.tolist():
            self._places.pop(track, None)
        picture = cv2.cvtColor(np.rint(grey * 255).astype(np.uint8), cv2.COLOR_GRAY2RGB)
        centres = np.rint(tracks.keypoints * (1 << _FRACTION_BITS)).astype(int).tolist()
        seen = zip(tracks.ids.tolist(), tracks.lengths.tolist(), centres, strict=True)
        for track, length, centre in sorted(seen, key=lambda one: one[1]):  # The longest lie on top.
            places = self._places.setdefault(track, deque(maxlen=TRAIL))
            places.append(centre)
            colour = _colour(track) if length > 1 else (160, 160, 160)
            cv2.polylines(picture, [np.array(places, np.int32)], False, colour, 1, cv2.LINE_AA, _FRACTION_BITS)
            cv2.circle(picture, centre, _RADIUS << _FRACTION_BITS, colour, 1, cv2.LINE_AA, _FRACTION_BITS)
        return np.ascontiguousarray(picture, np.uint8)


def _colour(track: int) -> tuple[int, ...]:
    """A bright colour; those of ids that follow each other are far apart, by the golden ratio of OpenCV's 180 hues."""
    hue = round(track * 180 * 0.6180339887) % 180
    return tuple(cv2.cvtColor(np.array([[[hue, 255, 255]]], np.uint8), cv2.COLOR_HSV2RGB)[0, 0].tolist())
