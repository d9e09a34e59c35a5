"""The second look at quadrilaterals: whether there is one, which corner is its first, and where its corners lie."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from .frames import CONTEXT
from .neck import strided_block

_NECK_CHANNELS = 16  # to which the neck's features are brought before they are pooled
_PEAK_RADIUS = 2  # cells around the highest of a map that say where a corner is


class Verdict(NamedTuple):
    """What the second look says: `logits` (N,) of an object; `turns` (N, 4), logits of which of the corners is the
    template's first."""

    logits: Tensor
    turns: Tensor


class SecondLook(nn.Module):
    """Sees the pooled features of quadrilaterals, each in its frame.

    Where the corners lie is said by four maps over the frame, as Mask R-CNN says keypoints (arXiv 1703.06870, section
    5): a network of convolutions learns that from fewer examples than eight numbers of a fully connected layer.

    Args:
        fine: Channels of the fine features.
        neck: Channels of the neck's.
        side: Samples each way of what is pooled.
    """

    def __init__(self, fine: int, neck: int, side: int) -> None:
        super().__init__()
        channels = neck // 2
        self.lateral = nn.Conv2d(neck, _NECK_CHANNELS, 1)
        self.trunk = nn.Sequential(
            strided_block(fine + _NECK_CHANNELS, channels), strided_block(channels, channels, dilation=2)
        )
        self.maps = nn.Sequential(
            strided_block(channels, channels, dilation=4),
            strided_block(channels, channels, dilation=2),
            nn.Conv2d(channels, 4, 1),
        )
        hidden, quarter = 2 * neck, -(-side // 4)
        self.judged = nn.Sequential(
            strided_block(channels, neck, stride=2),
            strided_block(neck, neck, stride=2),
            nn.Flatten(),
            nn.Linear(neck * quarter**2, hidden, bias=False),
            nn.LayerNorm(hidden),  # of one quadrilateral BatchNorm knows nothing
            nn.ReLU(inplace=True),
        )
        self.decision = nn.Linear(hidden, 1)
        self.turns = nn.Linear(hidden, 4)

    def judge(self, seen: Tensor) -> Verdict:
        """Of what the trunk gives, (N, C, side, side)."""
        judged = self.judged(seen)
        return Verdict(self.decision(judged)[:, 0].float(), self.turns(judged).float())

    def corner_maps(self, seen: Tensor) -> Tensor:
        """(N, 4, side, side), logits of where each corner lies in the frame, from what the trunk gives."""
        maps: Tensor = self.maps(seen)
        return maps.float()


def corner_loss(maps: Tensor, corners: Tensor) -> tuple[Tensor, Tensor]:
    """The cross-entropy of maps with corners, each corner shared by the four cells around it as by bilinear weights.

    Args:
        maps: (N, 4, S, S), logits.
        corners: (N, 4, 2), in the frame, whose sides are 1.

    Returns:
        (N, 4) the losses, and bool (N, 4), which of the corners lie in what was pooled; the losses of others mean
        nothing.
    """
    side = maps.shape[-1]
    places = _as_cells(corners, side)
    inside = ((places >= -0.5) & (places <= side - 0.5)).all(dim=2)
    places = places.clamp(0, side - 1)
    first = places.floor().clamp(max=max(0, side - 2)).long()
    share = places - first
    logs = maps.flatten(2).log_softmax(dim=2)
    loss = torch.zeros_like(logs[..., 0])
    for right in (0, 1):
        for down in (0, 1):
            weight = (share[..., 0] if right else 1 - share[..., 0]) * (share[..., 1] if down else 1 - share[..., 1])
            column, row = ((first[..., axis] + step).clamp(max=side - 1) for axis, step in ((0, right), (1, down)))
            loss = loss - weight * logs.gather(2, (row * side + column)[..., None])[..., 0]
    return loss, inside


def corners_of(maps: Tensor) -> Tensor:
    """Where maps (N, 4, S, S) say that the corners are, (N, 4, 2) in the frame: the mean around the highest cell."""
    side = maps.shape[-1]
    peak = maps.flatten(2).argmax(dim=2)
    cells = torch.arange(side, device=maps.device)
    row_near = (cells - (peak // side)[..., None]).abs() <= _PEAK_RADIUS
    column_near = (cells - (peak % side)[..., None]).abs() <= _PEAK_RADIUS
    near = row_near[..., :, None] & column_near[..., None, :]
    weights = maps.masked_fill(~near, float("-inf")).flatten(2).softmax(dim=2).view_as(maps)
    places = torch.stack(((weights.sum(dim=2) * cells).sum(dim=2), (weights.sum(dim=3) * cells).sum(dim=2)), dim=2)
    return ((places + 0.5) / side - 0.5) * CONTEXT + 0.5


def _as_cells(corners: Tensor, side: int) -> Tensor:
    """Places in the frame as places in cells of what is pooled, the first cell's centre at 0."""
    return ((corners - 0.5) / CONTEXT + 0.5) * side - 0.5
