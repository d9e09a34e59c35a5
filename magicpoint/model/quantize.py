"""A network's numbers with 8 bits: the steps of its weights and activations (post-training quantisation).

BatchNorm is folded first, and the ranges of a layer's channels are made more equal. A weight w of an output channel
becomes round(w / s), s being the channel's largest magnitude over 127; an activation a, never negative behind its ReLU,
becomes round(a / t) cut at 255, t being the largest `QUANTILE` of the calibration images' over 255. The image has
t = 1 / 255: 8-bit grey values stay exact.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from synthetic_shapes import render_sample

from ..core.errors import InputError
from .fold import fold_batch_norm, folds
from .network import PointNetwork

LARGEST = 255
"""Of an activation."""

QUANTILE = 0.9999
"""Activations up to this quantile of an image's are kept; the few above are cut off, for finer steps below."""

CALIBRATION_IMAGES = 18
"""Rendered images from which the ranges are measured when there are no others."""

_ROUNDS = 2  # of the equalisation: a round changes the weights which the next one balances
_LEAST_FACTOR = 1e-4


def rendered_images(count: int = CALIBRATION_IMAGES) -> list[Tensor]:
    """Images (1, 1, 120, 160) in [0, 1] of synthetic shapes, always the same: the range of contrasts without a file."""
    images = (render_sample(0, number)[0] for number in range(count))
    return [torch.from_numpy(image.astype(np.float32) / LARGEST)[None, None] for image in images]


def foldable(model: PointNetwork) -> PointNetwork:
    """The network with BatchNorm folded, in float32 on the CPU.

    Raises:
        InputError: Its BatchNorm cannot be folded.
    """
    if not folds(model):
        raise InputError("int8 needs BatchNorm before the ReLU, where it can be folded: take another precision")
    return fold_batch_norm(model).float().cpu()


def layers(folded: PointNetwork) -> tuple[list[nn.Conv2d], list[tuple[nn.Conv2d, nn.Conv2d]]]:
    """The convolutions of the encoder, and of each head the hidden one and the output."""
    heads = [folded.detector, *([folded.descriptor] if folded.descriptor is not None else [])]
    pairs = [(first, last) for first, last in map(_convolutions, heads)]
    return _convolutions(folded.encoder), pairs


def _convolutions(part: nn.Module) -> list[nn.Conv2d]:
    return [layer for layer in part.modules() if isinstance(layer, nn.Conv2d)]


def prepare(model: PointNetwork, images: Sequence[Tensor] | None = None) -> tuple[PointNetwork, list[float]]:
    """A network ready for 8 bits, and the step t of the activations behind each hidden convolution: the encoder's, then
    the heads' first ones.

    Args:
        model: It stays as it is.
        images: (1, 1, H, W) in [0, 1], H and W multiples of 8, such as the network will see; None renders some.

    Raises:
        InputError: See `foldable`.
    """
    folded, images = foldable(model), images or rendered_images()
    for _ in range(_ROUNDS):
        _equalize(folded, _ranges(folded, images, apart=True))
    # A layer that never fires has no range: any step gives its zeros.
    return folded, [float(ranges.max()) / LARGEST or 1.0 for ranges in _ranges(folded, images, apart=False)]


def _equalize(folded: PointNetwork, ranges: Sequence[Tensor]) -> None:
    """Lets the channels of each hidden layer have more nearly one range, so that one step suits all of them.

    ReLU and the max-pool commute with a positive factor: a channel is divided by it, and the weights with which the
    next layers take it are multiplied. The factor is the root of its range over the largest of these weights, so that
    neither activations nor weights become too unequal (Nagel et al., Data-Free Quantization Through Weight
    Equalization and Bias Correction, arXiv 1906.04721, 4.1; Xiao et al., SmoothQuant, arXiv 2211.10438, 4).
    """
    encoder, heads = layers(folded)
    after = [[layer] for layer in encoder[1:]] + [[first for first, _ in heads]] + [[last] for _, last in heads]
    for layer, reach, nexts in zip(encoder + [first for first, _ in heads], ranges, after, strict=True):
        taken = torch.stack([following.weight.abs().amax(dim=(0, 2, 3)) for following in nexts]).amax(dim=0)
        factor = (reach / taken).sqrt()
        fires = (reach > 0) & factor.isfinite()
        if not fires.any():
            continue
        factor = (factor / factor[fires].max()).clamp_min(_LEAST_FACTOR).where(fires, 1.0)
        with torch.no_grad():
            layer.weight /= factor[:, None, None, None]
            assert layer.bias is not None
            layer.bias /= factor
            for following in nexts:
                following.weight *= factor[None, :, None, None]


def _ranges(folded: PointNetwork, images: Sequence[Tensor], apart: bool) -> list[Tensor]:
    """The largest `QUANTILE` of the images' activations behind each hidden convolution, of each channel or of all."""
    encoder, heads = layers(folded)
    hidden = encoder + [first for first, _ in heads]
    largest = {layer: torch.zeros(layer.out_channels if apart else 1) for layer in hidden}

    def look(layer: nn.Module, inputs: object, output: Tensor) -> None:
        assert isinstance(layer, nn.Conv2d)
        values = output.clamp_min(0).transpose(0, 1).reshape(len(largest[layer]), -1)
        rank = max(1, round(QUANTILE * values.shape[1]))
        largest[layer] = torch.maximum(largest[layer], values.kthvalue(rank, dim=1).values)

    hooks = [layer.register_forward_hook(look) for layer in hidden]
    with torch.inference_mode():
        for image in images:
            folded(image)
    for hook in hooks:
        hook.remove()
    return [largest[layer].clone() for layer in hidden]


def quantized_weight(convolution: nn.Conv2d) -> tuple[Tensor, Tensor]:
    """The weights as int8 (O, I, h, w), and the step of each output channel, float32 (O,)."""
    weight = convolution.weight.detach()
    steps = (weight.abs().amax(dim=(1, 2, 3)) / 127).clamp_min(torch.finfo(torch.float32).tiny)
    return (weight / steps[:, None, None, None]).round().to(torch.int8), steps
