"""The orientation of solids: by the verifier's score, and by whatever else compares two squares."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from tqdm import tqdm

from synthetic_shapes.seeding import sample_generator

from ...core.settings import LARGEST_SEED, check_kinds, check_whole
from ...data.photometric import PhotometricSettings
from ...data.scenes3d.camera import Floats
from ..verify.orientation import Picture
from .rotations import error, in_plane, random_rotation, spread_rotations, symmetries
from .solid import FORMS, draw_solid
from .views import JITTER, LIGHT, entry, seen

Regime = Literal["in the plane", "in space"]

Squares = NDArray[np.uint8]

Ranking = Callable[[Squares, Squares], Floats]
"""From queries (Q, side, side) and views (V, side, side), both uint8, to scores (Q, V): the larger, the more alike."""

WITHIN = (10.0, 20.0)


@dataclass(frozen=True)
class SolidsProtocol:
    """How orientations are measured.

    Args:
        solids: Number of solids, their forms by turns.
        queries: Of each solid and regime.
        turns: Views of a codebook in the plane.
        views: Views of a codebook in space.
        jitter: Largest error of each corner of a query's square, in sides.
        seed: Decides all of it.
        photometric: The changes of light, lens, sensor and file.
    """

    solids: int = 12
    queries: int = 20
    turns: int = 72
    views: int = 4608
    jitter: float = JITTER
    seed: int = 0
    photometric: PhotometricSettings = LIGHT

    def __post_init__(self) -> None:
        check_kinds(self)
        check_whole(self, 1, "solids", "queries", "turns", "views")
        check_whole(self, 0, "seed", most=LARGEST_SEED)


@dataclass(frozen=True)
class OrientationScores:
    """How far orientations are off.

    Args:
        count: Number of queries.
        median: Of the angles, in degrees.
        within_10: Share of at most 10 degrees.
        within_20: Of at most 20.
    """

    count: int
    median: float
    within_10: float
    within_20: float


def evaluate_solids(
    pictures: Sequence[Picture],
    backgrounds: Sequence[Picture],
    methods: Mapping[str, Ranking],
    side: int,
    protocol: SolidsProtocol,
    progress: bool = True,
) -> dict[Regime, dict[str, OrientationScores]]:
    """Asks each method which view of a solid's codebook a query shows.

    Args:
        pictures: Of the faces.
        backgrounds: Behind the queries.
        methods: By name.
        side: Pixels of queries and views, each way.
        protocol: What is measured.
        progress: Show a progress bar on the standard error.

    Returns:
        By regime and method, the last `nearest view`: what whoever always knows the best of the codebook would have.
    """
    errors: dict[Regime, dict[str, list[float]]] = {"in the plane": {}, "in space": {}}
    for number in tqdm(range(protocol.solids), unit="solid", disable=not progress):
        rng = sample_generator(protocol.seed, "solids", number)
        solid = draw_solid(FORMS[number % len(FORMS)], pictures, rng)
        alike, base = symmetries(solid), random_rotation(rng)
        flat = in_plane(np.arange(protocol.turns) * 360.0 / protocol.turns) @ base
        codebooks: dict[Regime, Floats] = {"in the plane": flat, "in space": spread_rotations(protocol.views)}
        for regime, codebook in codebooks.items():
            truths = _truths(regime, base, protocol.queries, rng)
            queries = np.stack(
                [
                    seen(solid, truth, backgrounds, protocol.photometric, side, rng, protocol.jitter)[0]
                    for truth in truths
                ]
            )
            known = np.stack([entry(solid, R, side) for R in codebook])
            answers = {name: method(queries, known).argmax(axis=1) for name, method in methods.items()}
            answers["nearest view"] = np.array(
                [np.argmin([error(R, truth, alike) for R in codebook]) for truth in truths]
            )
            for name, chosen in answers.items():
                off = [error(codebook[index], truth, alike) for index, truth in zip(chosen, truths, strict=True)]
                errors[regime].setdefault(name, []).extend(off)
    return {
        regime: {name: _scores(np.array(values)) for name, values in by_method.items()}
        for regime, by_method in errors.items()
    }


def _truths(regime: Regime, base: Floats, count: int, rng: Generator) -> Floats:
    if regime == "in the plane":
        return in_plane(rng.uniform(0.0, 360.0, count)) @ base
    return np.stack([random_rotation(rng) for _ in range(count)])


def _scores(errors: Floats) -> OrientationScores:
    near, nearby = (float((errors <= limit).mean()) for limit in WITHIN)
    return OrientationScores(len(errors), float(np.median(errors)), near, nearby)
