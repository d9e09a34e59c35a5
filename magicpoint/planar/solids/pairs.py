"""Pairs of a view of a codebook and what a scene shows of a solid, as a function of seed and number.

The trap of `verify.pairs` is shut in the same way: the codebook's view is of a solid in any orientation in all kinds of
pairs, and what is seen is that orientation after a turn which does not hang on it, so that it is any orientation, too.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator

from synthetic_shapes.seeding import sample_generator

from ...core.errors import InputError
from ...data.photometric import PhotometricSettings
from ...data.scenes3d.camera import Floats
from ...io.images import shrink
from ..verify.orientation import Picture, is_told_apart
from ..verify.pairs import Kind, Pair, Pairs
from ..verify.queries import Query
from .rotations import about, random_rotation
from .solid import FORMS, Solid, draw_solid
from .views import LIGHT, entry, seen

ROUND: tuple[Kind, ...] = ("same", "another", "same", "turned", "same", "tilted")
"""The kinds of pairs by turns: half of them belong together."""

SAME, OTHER = 6.0, 12.0
"""Degrees up to which two orientations are the same, and from which on they are not; none lies between."""

LONGEST_FACE = 160
"""Pixels of the longer side of a face's picture: at most 128 of it are seen."""

_SIGHT = (0.0, 0.0, 1.0)
_FACES = 6
_TRIES = 200


class SolidPairStream:
    """Pair number `index` of a seed, the same whatever was drawn before, by whichever process.

    Args:
        pictures: uint8 (h, w), of the faces, each of a solid another one; those that look the same when they are turned
            or mirrored are left out, so that no orientation of a solid looks like another one.
        backgrounds: uint8 (h, w), behind what is seen; without any, the pictures.
        seed: Together with the number it decides a pair.
        side: Pixels of the squares, each way.
        photometric: The changes of light, lens, sensor and file.
        stream: Name of the sequence; training and evaluation have different ones.

    Raises:
        InputError: When a pair is drawn, there are too few pictures that can be told apart.
    """

    def __init__(
        self,
        pictures: Sequence[Picture],
        backgrounds: Sequence[Picture] = (),
        seed: int = 0,
        side: int = 64,
        photometric: PhotometricSettings = LIGHT,
        stream: str = "training",
    ) -> None:
        self._pictures, self._backgrounds = pictures, backgrounds if len(backgrounds) else pictures
        self._seed, self._side, self._stream = seed, side, f"solids {stream}"
        self._photometric = photometric
        self._faces: dict[int, Picture | None] = {}

    def __getitem__(self, index: int) -> Pair:
        kind, rng = ROUND[index % len(ROUND)], sample_generator(self._seed, self._stream, index)
        known, orientation = self._draw(rng), random_rotation(rng)
        if kind == "another":
            shown, as_seen = self._draw(rng), random_rotation(rng)
        else:
            shown, as_seen = known, turn(kind, rng) @ orientation
        crop, pixels = seen(shown, as_seen, self._backgrounds, self._photometric, self._side, rng)
        return Pair(entry(known, orientation, self._side), Query(crop, float(pixels), 0.0, 0.0), kind)

    def _draw(self, rng: Generator) -> Solid:
        """A solid with another picture on each face."""
        chosen: list[int] = []
        for _ in range(_TRIES):
            number = int(rng.integers(len(self._pictures)))
            if number not in chosen and self._face(number) is not None:
                chosen.append(number)
            if len(chosen) == _FACES:
                form, faces = FORMS[int(rng.integers(len(FORMS)))], [self._face(each) for each in chosen]
                return draw_solid(form, [face for face in faces if face is not None], rng)
        raise InputError(
            f"of {len(self._pictures)} pictures for the faces of solids too few differ from themselves turned and "
            f"mirrored, where {_FACES} are needed: give others"
        )

    def _face(self, number: int) -> Picture | None:
        """A picture as large as a face is seen; None where it looks the same turned or mirrored.

        They are kept: a pair takes up to twelve of them, and so small all of many thousands find room.
        """
        if number not in self._faces:
            face = shrink(self._pictures[number], LONGEST_FACE)
            self._faces[number] = face if is_told_apart(face) else None
        return self._faces[number]

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_faces": {}}


def turn(kind: Kind, rng: Generator) -> Floats:
    """By how much what is seen is turned, (3, 3): about any line, or `turned` about that of sight."""
    nearly = OTHER * (180.0 / OTHER) ** rng.random()  # what is nearly the same is hard, and drawn more often
    angle = rng.uniform(0.0, SAME) if kind == "same" else nearly
    line = np.array(_SIGHT) if kind == "turned" else rng.standard_normal(3)
    return about(line, float(angle if rng.random() < 0.5 else -angle))


class MixedPairs:
    """The pairs of two streams, whole rounds of the one and of the other by turns.

    Args:
        planar: Of planar templates.
        solid: Of solids, with rounds of as many pairs.
        share: Of the rounds that are of solids, in [0, 1].
    """

    def __init__(self, planar: Pairs, solid: Pairs, share: float) -> None:
        self._planar, self._solid, self._share = planar, solid, share

    def __getitem__(self, index: int) -> Pair:
        number = index // len(ROUND)
        is_solid = int((number + 1) * self._share) > int(number * self._share)
        return self._solid[index] if is_solid else self._planar[index]
