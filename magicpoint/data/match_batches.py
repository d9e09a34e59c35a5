"""Batches for a matcher: features of two views, and which of them belong together."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from synthetic_shapes.sample import sample_generator

from ..core.types import Features
from ..model.matcher import Side, places_of
from .batches import StepBatches
from .sources import ShuffledIndices
from .view_features import FeaturePair, FeaturePairs

NEAR, FAR = 3.0, 5.0
"""Pixels: keypoints as near as NEAR are one, those with none as near as FAR have no counterpart (LightGlue, 3.3)."""

UNMATCHED, UNKNOWN = -1, -2
"""In place of the number of a counterpart."""

BEST_SHARE = 0.5
"""Of the views of which the best keypoints are taken; of the others any."""

LARGEST_TURN, LARGEST_STRETCH = math.pi / 6, 1.2
"""By which the places of one view are turned and stretched against those of the other; of both together by any turn."""

DESCRIPTOR_NOISE = 0.15
"""The length of the noise that is added to a descriptor."""


class MatchBatch(NamedTuple):
    """B pairs of images, padded to the same number of keypoints.

    `targets0` int64 (B, N): the number of the counterpart in image 1, `UNMATCHED` or `UNKNOWN`; `targets1` (B, M).
    """

    side0: Side
    side1: Side
    targets0: Tensor
    targets1: Tensor

    def to(self, device: torch.device) -> MatchBatch:
        """The batch on the device."""
        side0, side1 = self.side0.to(device), self.side1.to(device)
        return MatchBatch(side0, side1, self.targets0.to(device), self.targets1.to(device))


def find_targets(pair: FeaturePair) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The counterparts of the N keypoints of view 0 and the M of view 1, as `MatchBatch` has them.

    Two are one where each is the other's nearest and both lie, in pixels of either view, within `NEAR` of where the
    view shows the other.
    """
    forth = _distances(pair.places0, pair.features1.keypoints)
    back = _distances(pair.places1, pair.features0.keypoints).T
    if not forth.size:
        return np.full(forth.shape[0], UNMATCHED), np.full(forth.shape[1], UNMATCHED)
    farther, nearer = np.maximum(forth, back), np.minimum(forth, back)
    nearest0, nearest1 = farther.argmin(axis=1), farther.argmin(axis=0)
    one0 = (nearest1[nearest0] == np.arange(len(nearest0))) & (farther.min(axis=1) <= NEAR)
    one1 = (nearest0[nearest1] == np.arange(len(nearest1))) & (farther.min(axis=0) <= NEAR)
    none0, none1 = (np.where(nearer.min(axis=axis) > FAR, UNMATCHED, UNKNOWN) for axis in (1, 0))
    return np.where(one0, nearest0, none0), np.where(one1, nearest1, none1)


def _distances(placed: Tensor, target: Tensor) -> NDArray[np.float64]:
    """(N, M): how far each target is from each place; infinite from a place that is not shown."""
    offsets = placed.numpy().astype(np.float64)[:, None] - target.numpy().astype(np.float64)[None]
    return np.asarray(np.nan_to_num(np.hypot(offsets[..., 0], offsets[..., 1]), nan=np.inf))


class MatchBatches(StepBatches[MatchBatch]):
    """Pairs of features, the same `count` of them over and over, each time in another order.

    Args:
        pairs: Where they come from.
        count: Of different pairs.
        keypoints: So many of each view, or all where there are fewer: the best, or any.
        seed: Decides the order and the choice.
        batch_size: Pairs of a step.
        rank: See `StepBatches`.
        world_size: See `StepBatches`.
    """

    def __init__(
        self,
        pairs: FeaturePairs,
        count: int,
        keypoints: int,
        seed: int,
        batch_size: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        super().__init__(batch_size, rank, world_size)
        self._pairs, self._keypoints, self._seed = pairs, keypoints, seed
        self._order = ShuffledIndices(range(count), seed)

    def __getitem__(self, step: int) -> MatchBatch:
        batch = collate_pairs([self._chosen(index) for index in self.indices(step)])
        return self._varied(batch, step)

    def _varied(self, batch: MatchBatch, step: int) -> MatchBatch:
        """The same keypoints elsewhere, with descriptors that are a little off.

        Pairs are seen again and again, and would be learnt by heart otherwise. What belongs together stays so.
        """
        rngs = [sample_generator(self._seed, "variation", index) for index in self.indices(step)]
        warps = [_draw_warps(rng) for rng in rngs]
        sides = []
        for number, side in enumerate(batch[:2]):
            assert isinstance(side, Side)
            warp = torch.from_numpy(np.stack([both[number] for both in warps])).float()
            # Of its own keypoints alone: how many a pair is padded to hangs on the others of the batch.
            _, length, channels = side.descriptors.shape
            counts = [length] * len(rngs) if side.mask is None else side.mask.sum(1).tolist()
            drawn = [rng.standard_normal((own, channels), np.float32) for rng, own in zip(rngs, counts, strict=True)]
            noise = torch.stack([_padded(torch.from_numpy(each), length) for each in drawn])
            noisy = side.descriptors + noise * (DESCRIPTOR_NOISE / side.descriptors.shape[2] ** 0.5)
            sides.append(Side(F.normalize(noisy, dim=2), side.places @ warp.transpose(1, 2), side.mask))
        return batch._replace(side0=sides[0], side1=sides[1])

    def _chosen(self, index: int) -> FeaturePair:
        """The pair of this turn, fewer of its keypoints, in one direction or the other."""
        rng = sample_generator(self._seed, "keypoints", index)
        features0, features1, places0, places1 = self._pairs[self._order[index]]
        swapped = rng.random() < 0.5
        kept0, kept1 = (_choose(len(features), self._keypoints, rng) for features in (features0, features1))
        features0, features1 = _only(features0, kept0), _only(features1, kept1)
        places0, places1 = places0[kept0], places1[kept1]
        if swapped:
            return FeaturePair(features1, features0, places1, places0)
        return FeaturePair(features0, features1, places0, places1)


def _draw_warps(rng: Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Linear maps (2, 2) of the places of two views: the same turn and mirror, and what differs between them."""
    common = _turn(rng.uniform(0, 2 * math.pi)) @ np.diag([1.0, rng.choice([-1.0, 1.0])])
    own = []
    for _ in range(2):
        stretch = LARGEST_STRETCH ** rng.uniform(-1, 1, 2)
        own.append(_turn(rng.uniform(-LARGEST_TURN, LARGEST_TURN) / 2) @ np.diag(stretch) @ common)
    return own[0], own[1]


def _turn(angle: float) -> NDArray[np.float64]:
    return np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])


def _choose(have: int, count: int, rng: Generator) -> Tensor:
    """The numbers of at most `count` of the keypoints that a view has."""
    if rng.random() < BEST_SHARE:
        return torch.arange(min(count, have))
    return torch.from_numpy(np.sort(rng.permutation(have)[:count]))


def _only(features: Features, kept: Tensor) -> Features:
    assert features.descriptors is not None
    return Features(
        features.keypoints[kept], features.keypoint_scores[kept], features.descriptors[kept], features.image_size
    )


def collate_pairs(pairs: list[FeaturePair]) -> MatchBatch:
    """Packs pairs of features, padded to the most keypoints that one of them has."""
    targets = [find_targets(pair) for pair in pairs]
    side0, targets0 = _padded_side([pair.features0 for pair in pairs], [of0 for of0, _ in targets])
    side1, targets1 = _padded_side([pair.features1 for pair in pairs], [of1 for _, of1 in targets])
    return MatchBatch(side0, side1, targets0, targets1)


def _padded_side(features: list[Features], targets: list[NDArray[np.int64]]) -> tuple[Side, Tensor]:
    # At least one keypoint, if only a padded one: attention to nothing is not a number.
    length = max(map(len, features), default=0) or 1
    descriptors = [one.descriptors for one in features if one.descriptors is not None]
    places = [places_of(one.keypoints[None], torch.tensor([one.image_size]))[0] for one in features]
    mask = torch.arange(length) < torch.tensor([[max(1, len(one))] for one in features])
    side = Side(
        torch.stack([_padded(each, length) for each in descriptors]),
        torch.stack([_padded(each, length) for each in places]),
        None if mask.all() else mask,
    )
    padded = [F.pad(torch.from_numpy(each), (0, length - len(each)), value=UNKNOWN) for each in targets]
    return side, torch.stack(padded)


def _padded(values: Tensor, length: int) -> Tensor:
    return F.pad(values, (0, 0, 0, length - len(values)))
