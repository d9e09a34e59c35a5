"""A network made wider without changing what it computes, so that training goes on instead of beginning again."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from .fold import convolutions
from .network import PointNetwork


def widen(model: PointNetwork, width: float, seed: int = 0) -> PointNetwork:
    """A copy of a network with more channels in its hidden layers that gives what the network gives.

    Channel j of a wider layer is a copy of channel j mod n of the n channels that it had, and the weights that read the
    copies sum up to the weight that read the original (Net2Net, arXiv 1511.05641, section 2.1). They differ from
    each other by random numbers as large as they are themselves, which cancel in the sum: equal copies would get equal
    gradients and stay one channel for ever.

    Args:
        model: It stays as it is.
        width: Width factor of the copy, at least that of the network.
        seed: Of the random numbers.

    Returns:
        A network in evaluation mode, on the CPU.

    Raises:
        ValueError: The width is below the network's own.
    """
    if width < model.settings.width:
        raise ValueError(f"a network of width {model.settings.width} cannot be widened to {width}")
    wide = PointNetwork.empty(dataclasses.replace(model.settings, width=width))
    wide.load_state_dict({name: torch.zeros_like(value) for name, value in wide.state_dict().items()})
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        features = torch.zeros(1, dtype=torch.long)
        features = _widen(model.encoder, wide.encoder, features, generator)
        _widen(model.detector, wide.detector, features, generator)
        if model.descriptor is not None and wide.descriptor is not None:
            _widen(model.descriptor, wide.descriptor, features, generator)
    return wide.eval()


def _widen(part: nn.Module, wide: nn.Module, copied: Tensor, generator: torch.Generator) -> Tensor:
    """Fills a chain of convolutions; takes and returns of which old channel each channel is a copy."""
    for (old, old_norm), (new, new_norm) in zip(convolutions(part), convolutions(wide), strict=True):
        outputs = torch.arange(new.out_channels) % old.out_channels
        new.weight.copy_(_share(old.weight.cpu()[outputs], copied, generator))
        if old.bias is not None and new.bias is not None:
            new.bias.copy_(old.bias.cpu()[outputs])
        if old_norm is not None and new_norm is not None:
            for name in ("weight", "bias", "running_mean", "running_var"):
                getattr(new_norm, name).copy_(getattr(old_norm, name).cpu()[outputs])
        copied = outputs
    return copied


def _share(weight: Tensor, copied: Tensor, generator: torch.Generator) -> Tensor:
    """Weights (O, I, h, w) divided among the copies of their inputs: (O, J, h, w), where J is the length of copied."""
    counts = copied.bincount(minlength=weight.shape[1]).to(weight)
    base = weight[:, copied] / counts[copied, None, None]
    noise = base.std() * torch.randn(base.shape, generator=generator)
    sums = torch.zeros_like(weight).index_add_(1, copied, noise)
    return base + (noise - (sums / counts[:, None, None])[:, copied])
