"""A running average of a network's weights, which generalises better than the weights of one step."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from itertools import chain

import torch
from torch import Tensor

from ..model.named import NamedNetwork

WARM_UP = 10
"""The share that is kept begins at 1 / WARM_UP: the average of a short run is not that of its random beginning."""


class AveragedNetwork:
    """The exponential moving average of a network (after Polyak and Juditsky, 1992, who take the plain mean).

    Weights and BatchNorm's statistics are averaged, counts are those of the latest step.

    Args:
        network: Its present state is the first average.
        kept: Share of the average that an update leaves, in [0, 1).
    """

    def __init__(self, network: NamedNetwork, kept: float) -> None:
        self._kept = kept
        self.network = copy.deepcopy(network).requires_grad_(False)

    @torch.no_grad()
    def update(self, network: NamedNetwork, step: int) -> None:
        """Moves the average towards the network after optimiser step number `step`, counted from 0."""
        kept = min(self._kept, (1 + step) / (WARM_UP + step))
        for mean, new in zip(_tensors(self.network), _tensors(network), strict=True):
            if mean.is_floating_point():
                mean.lerp_(new, 1.0 - kept)
            else:
                mean.copy_(new)


def _tensors(network: NamedNetwork) -> Iterator[Tensor]:
    """Each once, even if layers share it."""
    return chain(network.parameters(), network.buffers())
