"""The network with whole numbers of 8 bits: post-training quantisation for the CPU's integer convolutions."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...core.errors import MachineError
from ...core.memory import reuse_freed_blocks
from ...model.network import Output, PointNetwork
from ...model.quantize import LARGEST, foldable, layers, prepare, quantized_weight
from ..strips import Convolution, Stage, run_in_strips
from .base import Engine, Maps, as_json, to_maps


class Int8Network:
    def __init__(self, model: PointNetwork, calibration: Sequence[Tensor] | None) -> None:
        self._network = QuantizedNetwork(model, calibration)
        self.settings = as_json("torch", "int8", calibration=self._network.digest)

    @torch.inference_mode()
    def __call__(self, image: Tensor) -> Maps:
        return to_maps(self._network(image))


ENGINE = Engine(("int8",), lambda model, device, precision, calibration: Int8Network(model, calibration))


class QuantizedNetwork:
    """A network whose convolutions multiply unsigned 8-bit activations by signed 8-bit weights and add in 32 bits.

    The numbers are those of `model.quantize`; the logits and descriptors come out as floats. Sums of whole numbers have
    no order: a result is the same bits for any number of threads and batch.

    Args:
        model: It stays as it is.
        calibration: Images (1, 1, H, W) in [0, 1], H and W multiples of 8, such as the network will see; None renders
            some.

    Raises:
        InputError: The network has BatchNorm behind the ReLU.
        MachineError: torch has no exact integer convolutions on this processor (they need VNNI).
    """

    def __init__(self, model: PointNetwork, calibration: Sequence[Tensor] | None = None) -> None:
        foldable(model)  # what no processor can run is said first
        _check_processor()
        self._prepare(*prepare(model, calibration))

    def _prepare(self, folded: PointNetwork, steps: list[float]) -> None:
        self._folded, self._steps = folded, steps
        self.digest = hashlib.sha256(np.array(steps, np.float32).tobytes()).hexdigest()[:16]
        """The first 16 hexadecimal digits of the SHA-256 over the activations' steps, which the calibration decides."""
        encoder, heads = layers(folded)
        before = [1.0 / LARGEST, *steps]
        depth = len(encoder)
        hidden = [_quantized(encoder[i], before[i], steps[i]) for i in range(depth)]
        self._stages = [
            Stage(hidden[i], hidden[i + 1], max(encoder[i].out_channels, encoder[i + 1].out_channels), i < depth - 2)
            for i in range(0, depth, 2)
        ]
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
        reuse_freed_blocks()
        activations = (image * LARGEST).round().to(torch.uint8).contiguous(memory_format=torch.channels_last)
        features = run_in_strips(self._stages, activations)
        outputs = [last(first(features, True), True) for first, last in self._heads]
        return Output(outputs[0], F.normalize(outputs[1], dim=1) if len(outputs) == 2 else None)


def _reopen(folded: PointNetwork, steps: list[float]) -> QuantizedNetwork:
    _check_processor()
    network = QuantizedNetwork.__new__(QuantizedNetwork)
    network._prepare(folded, steps)
    return network


def _quantized(convolution: nn.Conv2d, step_before: float, step_after: float | None) -> Convolution:
    """A convolution with ReLU from uint8 to uint8, or without ReLU to float32 where there is no step after it."""
    assert convolution.bias is not None
    bias = convolution.bias.detach()
    whole, steps = quantized_weight(convolution)
    offsets = torch.zeros(len(steps), dtype=torch.int64)
    around = convolution.kernel_size[0] // 2
    packed = torch.ops.onednn.qconv_prepack(whole, steps, 1.0, 0, [1, 1], [around, around], [1, 1], 1, None)
    after = (1.0, 0, torch.float32, "none") if step_after is None else (step_after, 0, torch.uint8, "relu")

    def run(activations: Tensor, padded: bool) -> Tensor:
        place = ([1, 1], [around if padded else 0, around], [1, 1], 1)  # stride, padding, dilation, groups
        result: Tensor = torch.ops.onednn.qconv2d_pointwise(
            activations, step_before, 0, packed, steps, offsets, bias, *place, *after, [], ""
        )
        return result

    return run


def _check_processor() -> None:
    """Tries the largest sum that a layer of eight channels can have.

    Processors without VNNI add pairs of products in 16 bits, which overflow in silence.
    """
    with torch.random.fork_rng(devices=[]):  # no random numbers are drawn for a check
        convolution = nn.Conv2d(8, 8, 3, padding=1)
    nn.init.ones_(convolution.weight)
    assert convolution.bias is not None
    nn.init.zeros_(convolution.bias)
    white = torch.full((1, 8, 3, 3), LARGEST, dtype=torch.uint8).contiguous(memory_format=torch.channels_last)
    try:
        found = float(_quantized(convolution, 1.0, None)(white, True)[0, 0, 1, 1])
    except (AttributeError, RuntimeError, NotImplementedError) as error:
        raise MachineError(f"int8 needs torch with oneDNN's integer convolutions: {error}") from error
    expected = LARGEST * 8 * 9
    if abs(found - expected) > 1e-3 * expected:
        raise MachineError(
            f"int8 needs a processor whose integer convolutions do not overflow (VNNI): got {found} for {expected}"
        )
