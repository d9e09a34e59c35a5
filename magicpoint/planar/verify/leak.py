"""Whether a verifier judges without looking at what the scene shows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from synthetic_shapes.seeding import sample_generator

from .batches import as_squares
from .network import VerifierNetwork

DEVIATIONS = 3.9
"""Standard deviations of chance beyond which an accuracy is none: one in ten thousand lies there by chance."""

NOISES = 48
_COARSEST = 3  # values each way of the coarsest noise


@dataclass(frozen=True)
class Leak:
    """How many pairs are told right when the query is replaced.

    Of pairs of which half belong together, the half with the larger scores are taken for those; of equal scores each
    counts as half right. Who looks at the template alone is right in more than half, or in fewer, where that alone says
    of which kind a pair is.

    Args:
        noise: Share of the pairs with noise in the query's place.
        another: Share with the query of another pair.
        pairs: Number of pairs.
    """

    noise: float
    another: float
    pairs: int

    @property
    def reach(self) -> float:
        """Half the width of the interval around 0.5 within which chance alone leads (binomial)."""
        return DEVIATIONS * 0.5 / math.sqrt(self.pairs)

    def worse(self, other: Leak) -> Leak:
        """Of each share the one that is farther from a half; `other` is of as many pairs."""
        return Leak(_farther(self.noise, other.noise), _farther(self.another, other.another), self.pairs)

    @property
    def found(self) -> bool:
        """Whether one of the shares is beyond chance."""
        return max(abs(self.noise - 0.5), abs(self.another - 0.5)) > self.reach


def _farther(*shares: float) -> float:
    return max(shares, key=lambda share: abs(share - 0.5))


def measure_leak(network: VerifierNetwork, queries: Tensor, templates: Tensor, same: NDArray[np.bool_]) -> Leak:
    """Judges pairs whose query is replaced.

    Args:
        network: In evaluation mode.
        queries: Features of N queries.
        templates: Features of N templates.
        same: bool (N,), which belong together.
    """
    count, noises = len(same), network.describe(draw_noise(network.settings.side).to(queries.device).float() / 255.0)
    noise = network.compare(noises[np.arange(count) % len(noises)], templates)
    another = network.compare(queries.roll(count // 2, dims=0), templates)
    return Leak(share_right(noise, same), share_right(another, same), count)


def draw_noise(side: int) -> Tensor:
    """Noise from coarse to fine, always the same, uint8 (48, 1, side, side)."""
    rng = sample_generator(0, "verifier noise", side)
    sizes = np.geomspace(_COARSEST, side, NOISES).astype(int).tolist()
    drawn = [rng.integers(0, 256, (size, size)).astype(np.uint8) for size in sizes]
    return as_squares([np.asarray(cv2.resize(each, (side, side)), np.uint8) for each in drawn])


def share_right(scores: Tensor, same: NDArray[np.bool_]) -> float:
    """The share of pairs told right when the half with the larger scores are said to belong together; see `Leak`."""
    values = scores.detach().cpu().double().numpy()
    side = np.sign(values - np.median(values))
    return float(np.mean(np.where(side == 0, 0.5, (side > 0) == same)))
