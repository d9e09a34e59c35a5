"""Between the encoder and the heads: what lets a cell see a whole quadrilateral."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from ..model.encoder import conv_block


def strided_block(inputs: int, outputs: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """`conv_block` with BatchNorm before ReLU; its output has the input's size over the stride, rounded up."""
    block = conv_block(inputs, outputs, "before_relu")
    convolution = block[0]
    assert isinstance(convolution, nn.Conv2d)
    convolution.stride = (stride, stride)
    convolution.dilation = convolution.padding = (dilation, dilation)
    return block


class Pyramid(nn.Module):
    """Features of cells of 8 pixels: (B, inputs, H/8, W/8) to (B, channels, H/8, W/8).

    They are joined from the top down with those of cells of 16 and of 32 pixels (Feature Pyramid Networks, arXiv
    1612.03144, section 3), so that a cell sees some 400 pixels around it, at the cost of a few convolutions.
    """

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.fine = strided_block(inputs, channels)
        self.middle = nn.Sequential(strided_block(channels, channels, stride=2), strided_block(channels, channels))
        self.coarse = nn.Sequential(
            strided_block(channels, 2 * channels, stride=2),
            strided_block(2 * channels, 2 * channels),
            strided_block(2 * channels, 2 * channels, dilation=2),
            nn.Conv2d(2 * channels, channels, 1),
        )
        self.joined_middle = strided_block(channels, channels)
        self.joined_fine = strided_block(channels, channels)

    def forward(self, features: Tensor) -> Tensor:
        fine = self.fine(features)
        middle = self.middle(fine)
        middle = self.joined_middle(middle + _as_large(self.coarse(middle), middle))
        joined: Tensor = self.joined_fine(fine + _as_large(middle, fine))
        return joined


def _as_large(features: Tensor, other: Tensor) -> Tensor:
    return F.interpolate(features, size=other.shape[2:], mode="bilinear", align_corners=False)
