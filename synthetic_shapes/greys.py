"""Greys that stand out from what lies next to them."""

from __future__ import annotations

from collections.abc import Sequence

from numpy.random import Generator

MIN_CONTRAST = 32.0
"""Grey levels (of 255) between neighbouring faces, and between a shape and the background."""

STROKE_CONTRAST = 48.0
"""The same for thin strokes, of which antialiasing takes a part."""

GreyRange = tuple[float, float]


def contrasting_grey(taken: Sequence[GreyRange], rng: Generator, contrast: float = MIN_CONTRAST) -> float:
    """A grey in [0, 255] at least `contrast` levels from every (low, high) range that is `taken`.

    Where these leave no room, the grey that is farthest from all of them.
    """
    free, bottom = [], 0.0
    for low, high in sorted(taken):
        if low - contrast > bottom:
            free.append((bottom, low - contrast))
        bottom = max(bottom, high + contrast)
    if bottom < 255.0:
        free.append((bottom, 255.0))
    if not free:
        return _farthest_grey(taken)
    draw = rng.random() * sum(top - bottom for bottom, top in free)
    for bottom, top in free:
        if draw <= top - bottom:
            return bottom + draw
        draw -= top - bottom
    return free[-1][1]


def _farthest_grey(taken: Sequence[GreyRange]) -> float:
    ordered = sorted(taken)
    between = [(ordered[k][1] + ordered[k + 1][0]) / 2.0 for k in range(len(ordered) - 1)]
    distances = [(min(max(low - grey, grey - high) for low, high in taken), grey) for grey in (0.0, *between, 255.0)]
    return max(distances)[1]
