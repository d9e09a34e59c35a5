"""BatchNorm folded into the convolutions: the same function in evaluation, with one pass less over each activation."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from .network import PointNetwork


def fold_batch_norm(model: PointNetwork, descriptors: bool = True) -> PointNetwork:
    """A copy of a network without BatchNorm that gives what the network gives in evaluation.

    With running mean m and variance v, weight g, bias b and epsilon e of the BatchNorm, a convolution's weight is
    multiplied by g / sqrt(v + e) for each output channel, and its bias a becomes (a - m) g / sqrt(v + e) + b. ReLU and
    pooling come after the BatchNorm and stay.

    Args:
        model: It stays as it is, whether it is in training or not.
        descriptors: Whether the copy gets the descriptor head, if the network has one.

    Returns:
        A network in evaluation mode, on the device and in the dtype of the network, whose settings say that it has no
        BatchNorm.
    """
    dim = model.settings.descriptor_dim if descriptors else 0
    folded = PointNetwork(dataclasses.replace(model.settings, batch_norm="none", descriptor_dim=dim))
    first = next(model.parameters())
    folded = folded.to(first.device, first.dtype)
    with torch.no_grad():
        for part in ("encoder", "detector", *(["descriptor"] if dim else [])):
            sources, targets = convolutions(getattr(model, part)), convolutions(getattr(folded, part))
            for (convolution, norm), (target, _) in zip(sources, targets, strict=True):
                weight, bias = _fold(convolution, norm)
                assert target.bias is not None
                target.weight.copy_(weight)
                target.bias.copy_(bias)
    return folded.eval()


def convolutions(part: nn.Module) -> list[tuple[nn.Conv2d, nn.BatchNorm2d | None]]:
    """The convolutions, each with the BatchNorm that comes next before another convolution."""
    found: list[tuple[nn.Conv2d, nn.BatchNorm2d | None]] = []
    for layer in part.modules():
        if isinstance(layer, nn.Conv2d):
            found.append((layer, None))
        elif isinstance(layer, nn.BatchNorm2d):
            found[-1] = (found[-1][0], layer)
    return found


def _fold(convolution: nn.Conv2d, norm: nn.BatchNorm2d | None) -> tuple[Tensor, Tensor]:
    """The folded weight and bias, in float64."""
    weight = convolution.weight.double()
    bias = torch.zeros_like(weight[:, 0, 0, 0]) if convolution.bias is None else convolution.bias.double()
    if norm is None:
        return weight, bias
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    return weight * scale[:, None, None, None], (bias - norm.running_mean.double()) * scale + norm.bias.double()
