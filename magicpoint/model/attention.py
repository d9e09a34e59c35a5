"""Attention between keypoints: of one image, where their places count, and of two, where their descriptors do.

After LightGlue (Lindenberger and others, arXiv 2306.13643, section 3.1). Every block adds to a state what it has
learnt, and a new one adds nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HIGHEST_FREQUENCY = 16.0
"""Of a new encoding, in radians per half of the image's longer side."""


class Turn(NamedTuple):
    """The turn of each pair of numbers of a query or a key: cosines and sines, each (B, 1, N, D / 2)."""

    cosine: Tensor
    sine: Tensor


class Rotary(nn.Module):
    """Turns by the place: the product of a turned query and a turned key depends on the offset between them alone.

    The frequencies are learnt (Li and others, arXiv 2106.02795, with the rotation of Su and others, arXiv 2104.09864).
    """

    def __init__(self, head_channels: int) -> None:
        super().__init__()
        self.frequencies = nn.Linear(2, head_channels // 2, bias=False)
        sizes = HIGHEST_FREQUENCY ** torch.linspace(0.0, 1.0, head_channels // 2)
        with torch.no_grad():
            self.frequencies.weight.normal_().mul_(sizes[:, None].to(self.frequencies.weight.device))

    def forward(self, places: Tensor) -> Turn:
        """The turns of places (B, N, 2)."""
        angle = self.frequencies(places)[:, None]
        return Turn(angle.cos(), angle.sin())


def turned(values: Tensor, turn: Turn) -> Tensor:
    """Queries or keys (B, heads, N, D), number k of the first half turned together with number k of the second."""
    first, second = values.chunk(2, dim=-1)
    cosine, sine = turn.cosine.to(values.dtype), turn.sine.to(values.dtype)
    return torch.cat((first * cosine - second * sine, first * sine + second * cosine), dim=-1)


class Mix(nn.Module):
    """What a message changes in a state: (B, N, C) twice -> (B, N, C)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.widen = nn.Linear(2 * channels, 2 * channels)
        self.norm = nn.LayerNorm(2 * channels)
        self.narrow = nn.Linear(2 * channels, channels)
        nn.init.zeros_(self.narrow.weight)
        nn.init.zeros_(self.narrow.bias)

    def forward(self, state: Tensor, message: Tensor) -> Tensor:
        changed: Tensor = self.narrow(F.gelu(self.norm(self.widen(torch.cat((state, message), dim=-1)))))
        return changed


class SelfAttention(nn.Module):
    """Each keypoint looks at those of its own image, at offsets that the rotary encoding tells apart."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.inputs = nn.Linear(channels, 3 * channels)
        self.output = nn.Linear(channels, channels)
        self.mix = Mix(channels)

    def forward(self, state: Tensor, turn: Turn, mask: Tensor | None) -> Tensor:
        """The new state.

        Args:
            state: (B, N, C).
            turn: Of the places.
            mask: bool (B, 1, 1, N), which keypoints there are; None: all.
        """
        query, key, value = (_split(part, self.heads) for part in self.inputs(state).chunk(3, dim=-1))
        message = _merge(F.scaled_dot_product_attention(turned(query, turn), turned(key, turn), value, mask))
        new: Tensor = state + self.mix(state, self.output(message))
        return new


class CrossAttention(nn.Module):
    """Each keypoint looks at those of the other image, by one similarity for both directions.

    A new one looks at those with like descriptors.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.compare = nn.Linear(channels, channels)
        self.value = nn.Linear(channels, channels)
        self.output = nn.Linear(channels, channels)
        self.mix = Mix(channels)
        for layer, gain in ((self.compare, 1.5), (self.value, 1.0), (self.output, 1.0)):
            scaled_identity(layer, gain)

    def forward(
        self, state0: Tensor, state1: Tensor, mask0: Tensor | None, mask1: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """The new states; the arguments are as for `SelfAttention`."""
        (compared0, value0), (compared1, value1) = map(self._inputs, (state0, state1))
        message0 = F.scaled_dot_product_attention(compared0, compared1, value1, mask1)
        message1 = F.scaled_dot_product_attention(compared1, compared0, value0, mask0)
        return self._mixed(state0, message0), self._mixed(state1, message1)

    def _inputs(self, state: Tensor) -> tuple[Tensor, Tensor]:
        return _split(self.compare(state), self.heads), _split(self.value(state), self.heads)

    def _mixed(self, state: Tensor, message: Tensor) -> Tensor:
        new: Tensor = state + self.mix(state, self.output(_merge(message)))
        return new


def scaled_identity(layer: nn.Linear, gain: float) -> None:
    """Lets a layer begin as a factor."""
    with torch.no_grad():
        layer.weight.copy_(gain * torch.eye(layer.in_features, device=layer.weight.device))
        layer.bias.zero_()


def _split(values: Tensor, heads: int) -> Tensor:
    """(B, N, C) -> (B, heads, N, C / heads)."""
    return values.view(*values.shape[:2], heads, -1).transpose(1, 2)


def _merge(values: Tensor) -> Tensor:
    """(B, heads, N, C / heads) -> (B, N, C)."""
    return values.transpose(1, 2).flatten(-2)
