"""Batches of pairs, as a function of seed and step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ...data.batches import StepBatches
from .pairs import Pair, Pairs


class CollatedPairs(NamedTuple):
    """A batch on its way from the process that made it.

    `query` and `template` uint8 (B, 1, side, side); `same` bool (B,), which belong together.
    """

    query: Tensor
    template: Tensor
    same: Tensor

    def to(self, device: torch.device) -> PairBatch:
        """The batch on the device, unpacked there."""
        query, template, same = (part.to(device, non_blocking=True) for part in self)
        return PairBatch(query.float() / 255.0, template.float() / 255.0, same.float())


class PairBatch(NamedTuple):
    """`query` and `template` float32 (B, 1, side, side) in [0, 1]; `same` float32 (B,), 1 where it is so."""

    query: Tensor
    template: Tensor
    same: Tensor


class PairBatches(StepBatches[CollatedPairs]):
    """The pairs of a stream."""

    def __init__(self, pairs: Pairs, batch_size: int, rank: int = 0, world_size: int = 1) -> None:
        super().__init__(batch_size, rank, world_size)
        self._pairs = pairs

    def __getitem__(self, step: int) -> CollatedPairs:
        return collate_pairs([self._pairs[index] for index in self.indices(step)])


def collate_pairs(pairs: Sequence[Pair]) -> CollatedPairs:
    """Packs pairs for the way to the training process."""
    return CollatedPairs(
        as_squares([pair.query.crop for pair in pairs]),
        as_squares([pair.template for pair in pairs]),
        torch.tensor([pair.same for pair in pairs]),
    )


def as_squares(crops: Sequence[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]) -> Tensor:
    """Crops (side, side) as uint8 (N, 1, side, side)."""
    return torch.from_numpy(np.stack(crops)[:, None])
