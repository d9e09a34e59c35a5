"""A network's numbers with 8 bits: the steps of its weights and activations (post-training quantisation).

BatchNorm is folded first. A weight w of an output channel becomes round(w / s), s being the channel's largest magnitude
over 127; an activation a, never negative behind its ReLU, becomes round(a / t) cut at 255, t being the largest
`QUANTILE` of the calibration images' over 255. The image has t = 1 / 255: 8-bit grey values stay exact.
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


def activation_steps(folded: PointNetwork, images: Sequence[Tensor] | None = None) -> list[float]:
    """The step t of the activations behind each hidden convolution: the encoder's, then the heads' first ones.

    Args:
        folded: Without BatchNorm.
        images: (1, 1, H, W) in [0, 1], H and W multiples of 8; None renders some.
    """
    encoder, heads = layers(folded)
    largest = dict.fromkeys(encoder + [first for first, _ in heads], 0.0)

    def look(layer: nn.Module, inputs: object, output: Tensor) -> None:
        assert isinstance(layer, nn.Conv2d)
        rank = max(1, round(QUANTILE * output.numel()))
        largest[layer] = max(largest[layer], float(output.flatten().kthvalue(rank).values))

    hooks = [layer.register_forward_hook(look) for layer in largest]
    with torch.inference_mode():
        for image in images or rendered_images():
            folded(image)
    for hook in hooks:
        hook.remove()
    # A layer that never fires has no range: any step gives its zeros.
    return [value / LARGEST or 1.0 for value in largest.values()]


def quantized_weight(convolution: nn.Conv2d) -> tuple[Tensor, Tensor]:
    """The weights as int8 (O, I, h, w), and the step of each output channel, float32 (O,)."""
    weight = convolution.weight.detach()
    steps = (weight.abs().amax(dim=(1, 2, 3)) / 127).clamp_min(torch.finfo(torch.float32).tiny)
    return (weight / steps[:, None, None, None]).round().to(torch.int8), steps
