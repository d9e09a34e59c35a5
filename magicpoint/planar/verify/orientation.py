"""The orientations in which a picture is a template: turned in its plane, and mirrored."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from .crops import SQUARE, Floats, frame_of, rectify

Picture = NDArray[np.uint8]

LEAST_TURN = 25.0
"""Degrees from which on a turned template is another one; corners that are known roughly turn it by a few."""

ALIKE = 0.85
"""Correlation from which on a picture and itself turned or mirrored cannot be told apart when they are small."""

FAINTEST = 8.0
"""Standard deviation, in grey levels, of the plainest picture that shows something."""

_THUMBNAIL = 32
_STEP = 45.0


class Orientation(NamedTuple):
    """How a picture is made a square.

    Attributes:
        whole: The whole picture, in quarter turns; else the largest square about its middle that stays inside at any
            angle.
        mirrored: Left and right change places.
        angle: Of the turn in degrees; of a whole picture a multiple of 90.
    """

    whole: bool
    mirrored: bool
    angle: float

    def corners(self, picture: Picture) -> Floats:
        """The part of the picture that is the square, (4, 2), (x, y) in its pixels, the square's own corners."""
        height, width = picture.shape
        outer = SQUARE * (width, height) - 0.5
        if self.whole:
            turned = np.roll(outer, -round(self.angle / 90), axis=0)
        else:
            cosine, sine = np.cos(np.radians(self.angle)), np.sin(np.radians(self.angle))
            spread = (SQUARE - 0.5) * min(picture.shape) / np.sqrt(2)
            turned = spread @ np.array([[cosine, sine], [-sine, cosine]]) + outer.mean(axis=0)
        return turned[[1, 0, 3, 2]] if self.mirrored else turned

    def square(self, picture: Picture, side: int) -> Picture:
        """The picture in this orientation, uint8 (side, side)."""
        return np.asarray(rectify(picture, frame_of(self.corners(picture)), side), np.uint8)

    def turned(self, rng: Generator) -> Orientation:
        """Another angle: by one, two or three quarters, or by any angle that is clearly another."""
        by = 90.0 * rng.integers(1, 4) if self.whole else rng.uniform(LEAST_TURN, 360.0 - LEAST_TURN)
        return self._replace(angle=float((self.angle + by) % 360.0))

    def turned_anyhow(self, rng: Generator) -> Orientation:
        """Any angle, the same included."""
        return self._replace(angle=_angle(self.whole, rng))


def draw_orientation(rng: Generator) -> Orientation:
    """Any orientation: each is as likely as itself turned by an angle, and as its mirror image."""
    whole, mirrored = bool(rng.random() < 0.6), bool(rng.random() < 0.5)
    return Orientation(whole, mirrored, _angle(whole, rng))


def _angle(whole: bool, rng: Generator) -> float:
    return float(90.0 * rng.integers(4) if whole else rng.uniform(0.0, 360.0))


def is_told_apart(picture: Picture) -> bool:
    """Whether a picture shows something, and looks different when it is turned or mirrored.

    A symmetrical one, such as a board of squares, would be a right answer and a wrong one at once.
    """
    for whole, step in ((True, 90.0), (False, _STEP)):
        views = [
            Orientation(whole, mirrored, angle).square(picture, _THUMBNAIL).astype(np.float64).ravel()
            for mirrored in (False, True)
            for angle in np.arange(0.0, 360.0, step).tolist()
        ]
        centred = np.array([view - view.mean() for view in views])
        norms = np.linalg.norm(centred, axis=1)
        if norms.min() < FAINTEST * _THUMBNAIL or (centred[1:] @ centred[0] > ALIKE * norms[1:] * norms[0]).any():
            return False
    return True
