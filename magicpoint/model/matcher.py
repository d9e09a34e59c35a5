"""The network that matches the keypoints of two images, after LightGlue (arXiv 2306.13643)."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .attention import CrossAttention, Rotary, SelfAttention, scaled_identity
from .named import NamedNetwork
from .settings import MatcherSettings

SHARPNESS = 20.0
"""Of a new network: the similarity of two keypoints is so many times the cosine of their descriptors."""


ABSENT = -1e4
"""Similarity of what is no keypoint to all others: finite, so that no gradient is not a number."""


class Side(NamedTuple):
    """Keypoints of B images, which may be padded.

    `descriptors` (B, N, D); `places` (B, N, 2), see `places_of`; `mask` bool (B, N) is False where there is no
    keypoint, or None where all are some.
    """

    descriptors: Tensor
    places: Tensor
    mask: Tensor | None = None

    def to(self, device: torch.device) -> Side:
        """The same on a device."""
        mask = None if self.mask is None else self.mask.to(device)
        return Side(self.descriptors.to(device), self.places.to(device), mask)


class Assignment(NamedTuple):
    """Which keypoint belongs to which, in the eyes of a layer.

    `similarity` (B, N, M), `ABSENT` where there is no keypoint; `matchable0` (B, N) and `matchable1` (B, M), the
    logits of having a counterpart.
    """

    similarity: Tensor
    matchable0: Tensor
    matchable1: Tensor


class States(NamedTuple):
    """What the network has of both images behind a layer, each (B, N, C)."""

    state0: Tensor
    state1: Tensor


def places_of(keypoints: Tensor, image_size: Tensor) -> Tensor:
    """Keypoints (B, N, 2) of images of size (B, 2) as (W, H), from the middle of the image, in halves of the longer
    side.
    """
    size = image_size.to(keypoints)[:, None]
    places: Tensor = (keypoints + 0.5 - size / 2) / (size.amax(dim=-1, keepdim=True) / 2)
    return places


class AssignmentHead(nn.Module):
    """Similarities and matchabilities of the states behind a layer (LightGlue, section 3.2)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.project = nn.Linear(channels, channels)
        self.matchable = nn.Linear(channels, 1)
        scaled_identity(self.project, math.sqrt(SHARPNESS / channels))

    def forward(self, states: States, mask0: Tensor | None, mask1: Tensor | None) -> Assignment:
        projected0, projected1 = self.project(states.state0), self.project(states.state1)
        similarity = (projected0 @ projected1.transpose(1, 2)).float()
        if mask0 is not None:
            similarity = similarity.masked_fill(~mask0[:, :, None], ABSENT)
        if mask1 is not None:
            similarity = similarity.masked_fill(~mask1[:, None], ABSENT)
        return Assignment(similarity, *(self.matchable(state)[..., 0].float() for state in states))


class MatcherNetwork(NamedNetwork):
    """Layers of self and cross attention, each with a head, and all but the last with a say whether it suffices."""

    architecture = "matcher"
    settings_type = MatcherSettings
    settings: MatcherSettings

    def __init__(self, settings: MatcherSettings) -> None:
        super().__init__(settings)
        channels, heads = settings.channels, settings.heads
        self.describe = nn.Linear(settings.descriptor_dim, channels)
        self.rotary = Rotary(channels // heads)
        self.selves = nn.ModuleList(SelfAttention(channels, heads) for _ in range(settings.layers))
        self.crosses = nn.ModuleList(CrossAttention(channels, heads) for _ in range(settings.layers))
        self.heads = nn.ModuleList(AssignmentHead(channels) for _ in range(settings.layers))
        self.confidences = nn.ModuleList(nn.Linear(channels, 1) for _ in range(settings.layers - 1))

    def begin_with(self, descriptors: Tensor) -> None:
        """Lets a new network begin with the cosines of descriptors, as far as so many channels can have them.

        Args:
            descriptors: (K, D) from the images to be learnt: their principal directions become the channels.
        """
        channels = self.settings.channels
        with torch.no_grad():
            values = descriptors.double()
            mean = values.mean(dim=0)
            _, _, directions = torch.linalg.svd(values - mean, full_matrices=False)
            kept = values.new_zeros(channels, values.shape[1])
            kept[: min(channels, len(directions))] = directions[:channels]
            # Turned at random, so that each head of the attention gets as much of them.
            basis, _ = torch.linalg.qr(torch.randn(channels, channels, dtype=torch.float64))
            weight = basis @ kept
            length = ((values - mean) @ weight.T).norm(dim=1).square().mean().sqrt()
            weight = weight * (math.sqrt(channels) / length)
            self.describe.weight.copy_(weight)
            self.describe.bias.copy_(-weight @ mean)

    def begin(self, side0: Side, side1: Side) -> States:
        """The states before the first layer."""
        return States(self.describe(side0.descriptors), self.describe(side1.descriptors))

    def step(self, layer: int, states: States, side0: Side, side1: Side) -> States:
        """The states behind a layer."""
        mask0, mask1 = (None if side.mask is None else side.mask[:, None, None] for side in (side0, side1))
        attend = self.selves[layer]
        state0 = attend(states.state0, self.rotary(side0.places), mask0)
        state1 = attend(states.state1, self.rotary(side1.places), mask1)
        return States(*self.crosses[layer](state0, state1, mask0, mask1))

    def assign(self, layer: int, states: States, side0: Side, side1: Side) -> Assignment:
        """What a layer would match."""
        assignment: Assignment = self.heads[layer](states, side0.mask, side1.mask)
        return assignment

    def matchable(self, layer: int, state: Tensor) -> Tensor:
        """The chance of each keypoint to have a counterpart, in the eyes of a layer: (B, N, C) -> (B, N)."""
        chance: Tensor = self.heads[layer].matchable(state)[..., 0].sigmoid()  # type: ignore[operator]
        return chance

    def sureness(self, layer: int, state: Tensor) -> Tensor:
        """The chance that the last layer will say of a keypoint what this one, not the last, says: as `matchable`."""
        chance: Tensor = self.confidences[layer](state)[..., 0].sigmoid()
        return chance

    def forward(self, side0: Side, side1: Side) -> Assignment:
        states = self.begin(side0, side1)
        for layer in range(self.settings.layers):
            states = self.step(layer, states, side0, side1)
        return self.assign(self.settings.layers - 1, states, side0, side1)


def log_scores(assignment: Assignment) -> Tensor:
    """(B, N, M): the logarithm of the chance that two keypoints are one (LightGlue, equation 8).

    Each of the two has a counterpart, and each prefers the other.
    """
    similarity, matchable0, matchable1 = assignment
    return (
        similarity.log_softmax(dim=2)
        + similarity.log_softmax(dim=1)
        + F.logsigmoid(matchable0)[:, :, None]
        + F.logsigmoid(matchable1)[:, None]
    )


def counterparts(scores: Tensor, min_score: float) -> tuple[Tensor, Tensor]:
    """Who is whose: the number of the keypoint in the other image, -1 where there is none.

    Two are each other's where either is the other's best, and their chance is at least so much.

    Args:
        scores: (B, N, M) of `log_scores`, neither N nor M 0.
        min_score: The least chance, above 0.

    Returns:
        int64 (B, N) and (B, M).
    """
    best0, best1 = scores.max(dim=2), scores.max(dim=1)
    number0, number1 = (torch.arange(count, device=scores.device)[None] for count in scores.shape[1:])
    least = math.log(min_score)
    is_one0 = (best1.indices.gather(1, best0.indices) == number0) & (best0.values >= least)
    is_one1 = (best0.indices.gather(1, best1.indices) == number1) & (best1.values >= least)
    return best0.indices.where(is_one0, -1), best1.indices.where(is_one1, -1)
