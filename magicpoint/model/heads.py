"""The two heads on the encoder's features."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.grid import DUSTBIN
from .encoder import AFTER_RELU_EPSILON, NormPlace, conv_block, scaled

HIDDEN_CHANNELS = 256

EMPTY_SHARE = 0.95
"""Share of the cells without a keypoint that an untrained detector expects.

Starting from even odds, training spends its first hundreds of steps on learning that corners are rare (as with the
prior of the focal loss, arXiv 1708.02002, section 4.1).
"""


def _head(inputs: int, outputs: int, width: float, hidden_norm: NormPlace | None, output_norm: bool) -> nn.Sequential:
    hidden = scaled(HIDDEN_CHANNELS, width)
    layers: list[nn.Module] = [conv_block(inputs, hidden, hidden_norm), nn.Conv2d(hidden, outputs, 1)]
    if output_norm:
        epsilon = AFTER_RELU_EPSILON if hidden_norm == "after_relu" else 1e-5
        layers.append(nn.BatchNorm2d(outputs, epsilon))
    return nn.Sequential(*layers)


class DetectorHead(nn.Module):
    """Features (B, C, Hc, Wc) to logits (B, 65, Hc, Wc)."""

    def __init__(self, inputs: int, width: float, hidden_norm: NormPlace | None, output_norm: bool) -> None:
        super().__init__()
        self.layers = _head(inputs, DUSTBIN + 1, width, hidden_norm, output_norm)
        bias = self.layers[-1].bias
        assert isinstance(bias, Tensor)
        with torch.no_grad():
            bias.zero_()
            bias[DUSTBIN] = math.log(DUSTBIN * EMPTY_SHARE / (1.0 - EMPTY_SHARE))

    def forward(self, features: Tensor) -> Tensor:
        logits: Tensor = self.layers(features)
        return logits


class DescriptorHead(nn.Module):
    """Features (B, C, Hc, Wc) to descriptors (B, D, Hc, Wc) of length 1 along the channels."""

    def __init__(self, inputs: int, dim: int, width: float, hidden_norm: NormPlace | None, output_norm: bool) -> None:
        super().__init__()
        self.layers = _head(inputs, dim, width, hidden_norm, output_norm)

    def forward(self, features: Tensor) -> Tensor:
        return F.normalize(self.layers(features).float(), dim=1)
