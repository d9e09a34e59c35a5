"""Pairs of a template and what a scene shows, as a function of seed and number.

The trap is a verifier that looks at one side alone: where the templates of the pairs that do not belong together are
others than those of the pairs that do, it learns by heart which is which. Here templates come in any orientation in all
kinds of pairs, so that neither side of a pair, seen alone, says anything of its kind: an orientation that is drawn
evenly and then turned or mirrored is still drawn evenly. `leak` measures that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from synthetic_shapes.seeding import sample_generator

from ...core.errors import InputError
from .orientation import Orientation, Picture, draw_orientation, is_told_apart
from .queries import Query, see
from .settings import QuerySettings

Kind = Literal["same", "another", "turned", "mirrored", "tilted"]

ROUND: tuple[Kind, ...] = ("same", "another", "same", "turned", "same", "mirrored")
"""The kinds of pairs by turns: half of them belong together."""

_TRIES = 200


class Entry(NamedTuple):
    """A template: the number of its picture, and how it lies."""

    number: int
    orientation: Orientation


@dataclass(frozen=True, eq=False)
class Pair:
    """A template and what a scene shows.

    Args:
        template: uint8 (side, side).
        query: What the scene shows.
        kind: `same` in the same orientation, `another` template, or the same one `turned` or `mirrored`; a solid may
            be `tilted`, too, which is turned about another line than that of sight.
    """

    template: NDArray[np.uint8]
    query: Query
    kind: Kind

    @property
    def same(self) -> bool:
        """Whether they belong together."""
        return self.kind == "same"


class Pairs(Protocol):
    """Pairs by their number, without end."""

    def __getitem__(self, index: int) -> Pair: ...


class PairStream:
    """Pair number `index` of a seed, the same whatever was drawn before, by whichever process.

    Args:
        templates: uint8 (h, w) pictures; those that look the same when they are turned or mirrored are left out.
        backgrounds: uint8 (h, w) pictures for what is behind and in front; without any, the templates.
        seed: Together with the number it decides a pair.
        side: Pixels of the squares, each way.
        settings: None stands for `QuerySettings()`.
        stream: Name of the sequence; training and evaluation have different ones.

    Raises:
        InputError: There are fewer than two templates; or, when a pair is drawn, too few that can be told apart.
    """

    def __init__(
        self,
        templates: Sequence[Picture],
        backgrounds: Sequence[Picture] = (),
        seed: int = 0,
        side: int = 64,
        settings: QuerySettings | None = None,
        stream: str = "training",
    ) -> None:
        if len(templates) < 2:
            raise InputError(f"pairs need at least two templates, got {len(templates)}")
        self.settings, self.side = settings or QuerySettings(), side
        self._templates, self._backgrounds = templates, backgrounds if len(backgrounds) else templates
        self._seed, self._stream = seed, f"pairs {stream}"
        self._told: dict[int, bool] = {}

    def __getitem__(self, index: int) -> Pair:
        kind, rng = ROUND[index % len(ROUND)], sample_generator(self._seed, self._stream, index)
        template, seen = self.entries(kind, rng)
        picture = self._templates[seen.number]
        corners = seen.orientation.corners(picture)
        query = see(picture, corners, self._backgrounds, self.settings, self.side, rng)
        return Pair(self.square(template), query, kind)

    def entries(self, kind: Kind, rng: Generator) -> tuple[Entry, Entry]:
        """A template, and what is seen in the scene: both are drawn evenly, whatever the kind."""
        orientation = draw_orientation(rng)
        template = Entry(self._draw(rng), orientation)
        if kind == "another":
            mirrored = bool(rng.random() < 0.5)
            anyhow = orientation._replace(mirrored=mirrored).turned_anyhow(rng)
            return template, Entry(self._draw(rng, template.number), anyhow)
        if kind == "turned":
            orientation = orientation.turned(rng)
        if kind == "mirrored":
            orientation = orientation._replace(mirrored=not orientation.mirrored).turned_anyhow(rng)
        return template, Entry(template.number, orientation)

    def square(self, entry: Entry) -> NDArray[np.uint8]:
        """A template as the verifier knows it, uint8 (side, side)."""
        return entry.orientation.square(self._templates[entry.number], self.side)

    def _draw(self, rng: Generator, other_than: int = -1) -> int:
        for _ in range(_TRIES):
            number = int(rng.integers(len(self._templates)))
            if number == other_than:
                continue
            if number not in self._told:
                self._told[number] = is_told_apart(self._templates[number])
            if self._told[number]:
                return number
        raise InputError(
            f"of {len(self._templates)} templates too few differ from themselves turned and mirrored: give others"
        )
