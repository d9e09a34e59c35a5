"""The network with whole numbers of 8 bits: post-training quantisation for the CPU's integer convolutions."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from synthetic_shapes import render_sample

from ...core.errors import InputError, MachineError
from ...model.fold import fold_batch_norm, folds
from ...model.network import Output, PointNetwork
from .base import Engine, Maps, as_json, to_maps


class Int8Network:
    def __init__(self, model: PointNetwork, calibration: Sequence[Tensor] | None) -> None:
        self._network = QuantizedNetwork(model, calibration)
        self.settings = as_json("torch", "int8", calibration=self._network.digest)

    @torch.inference_mode()
    def __call__(self, image: Tensor) -> Maps:
        return to_maps(self._network(image))


ENGINE = Engine(("int8",), lambda model, device, precision, calibration: Int8Network(model, calibration))


QUANTILE = 0.9999
"""Activations up to this quantile of an image's are kept; the few above are cut off, for finer steps below."""

CALIBRATION_IMAGES = 18
"""Rendered images from which the ranges are measured when there are no others."""

_POOLED = (1, 3, 5)  # the encoder's convolutions that a 2x2 max-pool follows
_LARGEST = 255

_Layer = Callable[[Tensor], Tensor]


class QuantizedNetwork:
    """A network whose convolutions multiply unsigned 8-bit activations by signed 8-bit weights and add in 32 bits.

    BatchNorm is folded first. A weight w of an output channel becomes round(w / s), s being the channel's largest
    magnitude over 127; an activation a, never negative behind its ReLU, becomes round(a / t) cut at 255, t being the
    largest `QUANTILE` of the calibration images' over 255. The image has t = 1 / 255: 8-bit grey values stay exact. The
    logits and descriptors come out as floats. Sums of whole numbers have no order: a result is the same bits for any
    number of threads and batch.

    Args:
        model: It stays as it is.
        calibration: Images (1, 1, H, W) in [0, 1], H and W multiples of 8, such as the network will see; None renders
            some.

    Raises:
        InputError: The network has BatchNorm behind the ReLU.
        MachineError: torch has no exact integer convolutions on this processor (they need VNNI).
    """

    def __init__(self, model: PointNetwork, calibration: Sequence[Tensor] | None = None) -> None:
        if not folds(model):
            raise InputError("int8 needs BatchNorm before the ReLU, where it can be folded: take another precision")
        _check_processor()
        folded = fold_batch_norm(model).float().cpu()
        encoder, heads = _layers(folded)
        hidden = encoder + [first for first, _ in heads]
        self._prepare(folded, _activation_steps(folded, hidden, calibration or rendered_images()))

    def _prepare(self, folded: PointNetwork, steps: list[float]) -> None:
        self._folded, self._steps = folded, steps
        self.digest = hashlib.sha256(np.array(steps, np.float32).tobytes()).hexdigest()[:16]
        """The first 16 hexadecimal digits of the SHA-256 over the activations' steps, which the calibration decides."""
        encoder, heads = _layers(folded)
        before = [1.0 / _LARGEST, *steps]
        depth = len(encoder)
        self._encoder = [_quantized(encoder[i], before[i], steps[i]) for i in range(depth)]
        self._heads = [
            (_quantized(first, steps[depth - 1], steps[depth + i]), _quantized(last, steps[depth + i], None))
            for i, (first, last) in enumerate(heads)
        ]

    def __reduce__(self) -> tuple[Any, ...]:
        # The packed weights are of this processor, so another process packs its own.
        return _reopen, (self._folded, self._steps)

    @torch.inference_mode()
    def __call__(self, image: Tensor) -> Output:
        """Image (B, 1, H, W) in [0, 1], H and W multiples of 8, to an `Output` in float32."""
        activations = (image * _LARGEST).round().to(torch.uint8).contiguous(memory_format=torch.channels_last)
        for number, layer in enumerate(self._encoder):
            activations = layer(activations)
            if number in _POOLED:
                activations = _pool(activations)
        outputs = [last(first(activations)) for first, last in self._heads]
        return Output(outputs[0], F.normalize(outputs[1], dim=1) if len(outputs) == 2 else None)


def rendered_images(count: int = CALIBRATION_IMAGES) -> list[Tensor]:
    """Images (1, 1, 120, 160) in [0, 1] of synthetic shapes, always the same: the range of contrasts without a file."""
    images = (render_sample(0, number)[0] for number in range(count))
    return [torch.from_numpy(image.astype(np.float32) / _LARGEST)[None, None] for image in images]


def _reopen(folded: PointNetwork, steps: list[float]) -> QuantizedNetwork:
    _check_processor()
    network = QuantizedNetwork.__new__(QuantizedNetwork)
    network._prepare(folded, steps)
    return network


def _layers(folded: PointNetwork) -> tuple[list[nn.Conv2d], list[tuple[nn.Conv2d, nn.Conv2d]]]:
    """The convolutions of the encoder, and of each head the hidden one and the output."""
    heads = [folded.detector, *([folded.descriptor] if folded.descriptor is not None else [])]
    pairs = [(first, last) for first, last in map(_convolutions, heads)]
    return _convolutions(folded.encoder), pairs


def _convolutions(part: nn.Module) -> list[nn.Conv2d]:
    return [layer for layer in part.modules() if isinstance(layer, nn.Conv2d)]


def _activation_steps(model: PointNetwork, convolutions: Sequence[nn.Conv2d], images: Sequence[Tensor]) -> list[float]:
    """For each convolution the step of its activations behind the ReLU."""
    largest = dict.fromkeys(convolutions, 0.0)

    def look(layer: nn.Module, inputs: object, output: Tensor) -> None:
        assert isinstance(layer, nn.Conv2d)
        rank = max(1, round(QUANTILE * output.numel()))
        largest[layer] = max(largest[layer], float(output.flatten().kthvalue(rank).values))

    hooks = [layer.register_forward_hook(look) for layer in convolutions]
    with torch.inference_mode():
        for image in images:
            model(image)
    for hook in hooks:
        hook.remove()
    # A layer that never fires has no range: any step gives its zeros.
    return [value / _LARGEST or 1.0 for value in largest.values()]


def _quantized(convolution: nn.Conv2d, step_before: float, step_after: float | None) -> _Layer:
    """A convolution with ReLU from uint8 to uint8, or without ReLU to float32 where there is no step after it."""
    weight, bias = convolution.weight.detach(), convolution.bias
    assert bias is not None
    bias = bias.detach()
    steps = (weight.abs().amax(dim=(1, 2, 3)) / 127).clamp_min(torch.finfo(torch.float32).tiny)
    whole = (weight / steps[:, None, None, None]).round().to(torch.int8)
    offsets = torch.zeros(len(steps), dtype=torch.int64)
    place = ([1, 1], [convolution.kernel_size[0] // 2] * 2, [1, 1], 1)  # stride, padding, dilation, groups
    packed = torch.ops.onednn.qconv_prepack(whole, steps, 1.0, 0, *place, None)
    after = (1.0, 0, torch.float32, "none") if step_after is None else (step_after, 0, torch.uint8, "relu")

    def run(activations: Tensor) -> Tensor:
        result: Tensor = torch.ops.onednn.qconv2d_pointwise(
            activations, step_before, 0, packed, steps, offsets, bias, *place, *after, [], ""
        )
        return result

    return run


def _pool(activations: Tensor) -> Tensor:
    """The 2x2 max-pool; torch's own refuses large maps of this type."""
    rows = torch.maximum(activations[:, :, ::2], activations[:, :, 1::2])
    return torch.maximum(rows[..., ::2], rows[..., 1::2])


def _check_processor() -> None:
    """Tries the largest sum that a layer of eight channels can have.

    Processors without VNNI add pairs of products in 16 bits, which overflow in silence.
    """
    # On the meta device, so that no random numbers are drawn for a check.
    convolution = nn.Conv2d(8, 8, 3, padding=1, device="meta").to_empty(device="cpu")
    nn.init.ones_(convolution.weight)
    assert convolution.bias is not None
    nn.init.zeros_(convolution.bias)
    white = torch.full((1, 8, 3, 3), _LARGEST, dtype=torch.uint8).contiguous(memory_format=torch.channels_last)
    try:
        found = float(_quantized(convolution, 1.0, None)(white)[0, 0, 1, 1])
    except (AttributeError, RuntimeError, NotImplementedError) as error:
        raise MachineError(f"int8 needs torch with oneDNN's integer convolutions: {error}") from error
    expected = _LARGEST * 8 * 9
    if abs(found - expected) > 1e-3 * expected:
        raise MachineError(
            f"int8 needs a processor whose integer convolutions do not overflow (VNNI): got {found} for {expected}"
        )
