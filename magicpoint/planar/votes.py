"""Which templates a scene may show, and in which quarter turn: a few keypoints of each that keep their places."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ..core.types import Features
from .templates import Template

SIMILAR = 0.6
"""Cosine of descriptors from which a pair of nearest neighbours speaks for a template."""

BENT, SLACK = 0.8, 2.0
"""How far a pair's distance in the scene may be off, in such distances and in pixels more: between two quarter turns
and two sizes lie 45 degrees and a factor of 1.4, and a view in perspective has others at each place."""

LEAST_VOTES = 11.0
"""Turns with less get no closer look. In 60 scenes of 240x320 it gives 0.80 of the turns one in which it finds
something, and 0.05 of the others; in 24 scenes of 480x640 0.80 and 0.14. Counting similar pairs wherever they lie gave
0.83 and 0.84 of the ones, and 0.49 and 0.65 of the others.
"""

MOST_LOOKS = 20
"""So many turns at most, those with most votes: so the looks do not grow with the templates that a scene lacks."""

_NEAREST = 4.0  # pixels between two keypoints that say something about a turn
_EVEN = 0.5  # what has this probability by chance says nothing
_KEPT = 0.999  # of what descriptors say


class Votes:
    """What is known of several templates, to be compared with scenes.

    Descriptors are compared in the space that those of the templates span, which is often a smaller one than theirs.

    Args:
        templates: All that will be asked for.
    """

    def __init__(self, templates: Sequence[Template]) -> None:
        self._basis = _span(torch.cat([template.probes.flatten(0, 2) for template in templates]))
        self._known: Mapping[str, Tensor] = {each.name: each.probes.flatten(0, 1) @ self._basis for each in templates}

    def likely(self, scene: Features, among: Sequence[Template]) -> list[tuple[Template, int]]:
        """Those templates that are worth a closer look, each in its most likely turns; those with most votes first.

        Args:
            scene: With descriptors, on the CPU.
            among: Some of those that are known.
        """
        if not len(scene):
            return []
        assert scene.descriptors is not None
        descriptors, area, found = (scene.descriptors @ self._basis).T.contiguous(), _spread(scene), []
        for template in among:  # one at a time what is compared stays in the processor's cache
            votes = turn_votes(self._known[template.name], template.places, descriptors, scene, area).tolist()
            least = max(LEAST_VOTES, max(votes) / 2)
            found += [(value, template, turn) for turn, value in enumerate(votes) if value >= least]
        best = sorted(found, key=lambda each: -each[0])[:MOST_LOOKS]
        return [(template, turn) for _, template, turn in best]


def turn_votes(probes: Tensor, places: Tensor, descriptors: Tensor, scene: Features, area: float) -> Tensor:
    """How much speaks for each turn of a template, (T,).

    Each probe finds its nearest keypoint, if it is that one's nearest of its turn and size, too. Two probes then agree
    if their keypoints lie to each other as the probes do, roughly. What agrees by chance with a probability p, by the
    areas in which it may lie and over which the scene's keypoints are spread, adds log(1/2 / p) to both; the turn
    has what its best probe has, at the best size.

    Args:
        probes: (T S, N, D), descriptors of T turns at S sizes each.
        places: (T, S, N, 2), where the probes lie in the picture so turned and at that size, in pixels.
        descriptors: (D, M), of the scene.
        scene: Its M keypoints.
        area: Over which they are spread, in pixels.
    """
    turns, sizes, count, _ = places.shape
    similarity = (probes.flatten(0, 1) @ descriptors).view(turns * sizes, count, -1)
    nearest = torch.from_numpy(similarity.numpy().argmax(axis=2))  # several times as fast as torch's
    best = similarity.amax(dim=2)
    mutual = best >= similarity.amax(dim=1).gather(1, nearest)
    votes = mutual & (best >= SIMILAR)
    scales = scene.keypoint_scales
    scale = torch.ones_like(best) if scales is None else scales[nearest]
    error, length = torch.zeros(()), torch.zeros(())
    for seen, placed in zip(scene.keypoints[nearest].unbind(2), places.flatten(0, 1).unbind(2), strict=True):
        wanted = _differences(placed) * scale[:, :, None]
        error, length = error + (_differences(seen) - wanted).square_(), length + wanted.square_()
    reach = length.sqrt().mul_(BENT).add_(SLACK).square_()
    together = votes[:, :, None] & votes[:, None] & (scale[:, :, None] == scale[:, None])
    agree = together & (error <= reach) & (length > _NEAREST**2)
    chance = reach * (math.pi / area)
    said = torch.where(agree, (_EVEN / chance).clamp(min=1.0).log_(), 0.0)
    return said.sum(dim=2).amax(dim=1).view(turns, sizes).amax(dim=1)


def _spread(scene: Features) -> float:
    """The area in pixels of the parallelogram over which keypoints would vary as much as a scene's, if they lay evenly
    in it; at most the scene's own, and at least one pixel."""
    width, height = scene.image_size
    if len(scene) < 2:
        return 1.0
    determinant = float(torch.linalg.det(scene.keypoints.double().T.cov()))
    return min(max(12 * math.sqrt(max(determinant, 0.0)), 1.0), float(width * height))


def _differences(values: Tensor) -> Tensor:
    """(C, N) to (C, N, N)."""
    return values[:, :, None] - values[:, None]


def _span(descriptors: Tensor) -> Tensor:
    """The directions (D, d) in which descriptors (N, D) lie, but for a thousandth of them."""
    shares, directions = torch.linalg.eigh(descriptors.T @ descriptors)
    shares = shares.flip(0).clamp(min=0.0)
    below = shares.cumsum(0) < _KEPT * shares.sum()
    span: Tensor = directions.flip(1)[:, : int(below.sum()) + 1].contiguous()
    return span
