"""The shared VGG-style encoder: an image to a feature map of an eighth of its size."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

CHANNELS = (64, 64, 64, 64, 128, 128, 128, 128)
"""Output channels of the eight 3x3 convolutions at width 1 (SuperPoint, arXiv 1712.07629, section 3.1)."""


def scaled(channels: int, width: float) -> int:
    """The channels that a layer of `channels` has at a width factor, a multiple of 8."""
    return max(8, 8 * round(channels * width / 8))


NormPlace = Literal["before_relu", "after_relu"]

AFTER_RELU_EPSILON = 1e-3
"""What rpautrat's SuperPoint in PyTorch, which has BatchNorm there, adds to the variance."""


def conv_block(inputs: int, outputs: int, batch_norm: NormPlace | None) -> nn.Sequential:
    """A 3x3 convolution that keeps the size, and ReLU; BatchNorm, where there is one, before or after that."""
    layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, 3, padding=1, bias=batch_norm != "before_relu")]
    if batch_norm == "before_relu":
        layers.append(nn.BatchNorm2d(outputs))
    layers.append(nn.ReLU(inplace=True))
    if batch_norm == "after_relu":
        layers.append(nn.BatchNorm2d(outputs, AFTER_RELU_EPSILON))
    return nn.Sequential(*layers)


class Encoder(nn.Module):
    """Eight convolutions with a 2x2 max-pool after the second, fourth and sixth: (B, 1, H, W) to (B, C, H/8, W/8)."""

    def __init__(self, width: float = 1.0, batch_norm: NormPlace | None = "before_relu") -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 1
        for number, channels in enumerate(CHANNELS):
            layers.append(conv_block(inputs, scaled(channels, width), batch_norm))
            inputs = scaled(channels, width)
            if number in (1, 3, 5):
                layers.append(nn.MaxPool2d(2))
        self.layers = nn.Sequential(*layers)
        self.fine_channels, self.channels = scaled(CHANNELS[3], width), inputs

    def first(self, count: int) -> list[nn.Sequential]:
        """The first so many convolutions, each with its BatchNorm and ReLU."""
        return [layer for layer in self.layers if isinstance(layer, nn.Sequential)][:count]

    def two_scales(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """What the fourth convolution gives, (B, C', H/2, W/2), and what `forward` does."""
        fine: Tensor = self.layers[:5](image)
        return fine, self.layers[5:](fine)

    def forward(self, image: Tensor) -> Tensor:
        features: Tensor = self.layers(image)
        return features
