"""The tracks of a video, drawn on its frames."""

from __future__ import annotations

import functools

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
        self._places: dict[int, _Places] = {}

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
            places = self._places.get(track)
            if places is None:
                places = self._places[track] = _Places()
            colour = _colour(track) if length > 1 else (160, 160, 160)
            cv2.polylines(picture, [places.with_next(centre)], False, colour, 1, cv2.LINE_AA, _FRACTION_BITS)
            cv2.circle(picture, centre, _RADIUS << _FRACTION_BITS, colour, 1, cv2.LINE_AA, _FRACTION_BITS)
        return np.ascontiguousarray(picture, np.uint8)


class _Places:
    """The last places of a track, so that drawing them makes no new array for each frame."""

    def __init__(self) -> None:
        self._rows = np.empty((4 * TRAIL, 2), np.int32)
        self._count = 0

    def with_next(self, place: list[int]) -> NDArray[np.int32]:
        """The last `TRAIL`, (N, 2), this one among them."""
        if self._count == len(self._rows):
            self._rows[: TRAIL - 1] = self._rows[1 - TRAIL :]
            self._count = TRAIL - 1
        self._rows[self._count] = place
        self._count += 1
        return self._rows[max(0, self._count - TRAIL) : self._count]


@functools.lru_cache(maxsize=2**14)
def _colour(track: int) -> tuple[int, ...]:
    """A bright colour; those of ids that follow each other are far apart, by the golden ratio of OpenCV's 180 hues."""
    hue = round(track * 180 * 0.6180339887) % 180
    return tuple(cv2.cvtColor(np.array([[[hue, 255, 255]]], np.uint8), cv2.COLOR_HSV2RGB)[0, 0].tolist())
