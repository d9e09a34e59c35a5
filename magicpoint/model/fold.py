"""BatchNorm folded into the convolutions: the same function in evaluation, with one pass less over each activation."""

from __future__ import annotations

import copy
import dataclasses

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from .network import PointNetwork


def fold_batch_norm(model: PointNetwork, descriptors: bool = True) -> PointNetwork:
    """A copy of a network without BatchNorm that gives what the network gives in evaluation.

    Folded on the CPU in float64, so that the result is the same bits for a network on any device.

    Args:
        model: It stays as it is, whether it is in training or not.
        descriptors: Whether the copy gets the descriptor head, if the network has one.

    Returns:
        A network in evaluation mode, on the device and in the dtype of the network. Its settings say that it has no
        BatchNorm, but for one that stands after the ReLU: that stays, since the next convolution pads its result with
        zeros, which no weights of a convolution without it can do.
    """
    dim = model.settings.descriptor_dim if descriptors else 0
    if not folds(model):
        return _copied(model, dim)
    folded = PointNetwork.empty(dataclasses.replace(model.settings, batch_norm="none", descriptor_dim=dim))
    first = next(model.parameters())
    folded = folded.to(first.device, first.dtype)
    source = copy.deepcopy(model).cpu().double().eval()
    with torch.no_grad():
        for part in ("encoder", "detector", *(["descriptor"] if dim else [])):
            sources, targets = convolutions(getattr(source, part)), convolutions(getattr(folded, part))
            for (convolution, norm), (target, _) in zip(sources, targets, strict=True):
                fused = convolution if norm is None else fuse_conv_bn_eval(convolution, norm)
                target.load_state_dict(fused.state_dict())
    return folded.eval()


def folds(model: PointNetwork) -> bool:
    """Whether `fold_batch_norm` leaves no BatchNorm."""
    return model.settings.batch_norm != "after_relu"


def _copied(model: PointNetwork, dim: int) -> PointNetwork:
    copied = PointNetwork.empty(dataclasses.replace(model.settings, descriptor_dim=dim))
    first = next(model.parameters())
    copied = copied.to(first.device, first.dtype)
    weights = model.state_dict()
    copied.load_state_dict({name: weights[name] for name in copied.state_dict()})
    return copied.eval()


def convolutions(part: nn.Module) -> list[tuple[nn.Conv2d, nn.BatchNorm2d | None]]:
    """The convolutions, each with the BatchNorm that comes next before another convolution."""
    found: list[tuple[nn.Conv2d, nn.BatchNorm2d | None]] = []
    for layer in part.modules():
        if isinstance(layer, nn.Conv2d):
            found.append((layer, None))
        elif isinstance(layer, nn.BatchNorm2d):
            found[-1] = (found[-1][0], layer)
    return found
