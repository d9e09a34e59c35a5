"""The network with 8 bits as ONNX operators: QuantizeLinear and DequantizeLinear around each convolution.

A runtime that knows the pattern computes between them with whole numbers; any other computes the same with floats.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from ..model.network import PointNetwork
from ..model.quantize import LARGEST, layers, prepare, quantized_weight

if TYPE_CHECKING:
    from onnxscript import OpBuilder, ir

_POOLED = (1, 3, 5)  # the encoder's convolutions that a 2x2 max-pool follows


def add_quantized(op: OpBuilder, image: ir.Value, model: PointNetwork) -> tuple[ir.Value, ir.Value | None]:
    """The logits (B, 65, H / 8, W / 8) and the descriptors before their normalisation, as `model.quantize` has them.

    Raises:
        InputError: The network's BatchNorm cannot be folded.
    """
    folded, steps = prepare(model)
    encoder, heads = layers(folded)
    before = 1.0 / LARGEST
    value = _rounded(op, image, before, "image")
    for number, (convolution, step) in enumerate(zip(encoder, steps, strict=False)):
        name = f"encoder.{number}"
        value = _rounded(op, op.Relu(_add_convolution(op, value, convolution, before, name)), step, name)
        if number in _POOLED:
            pooled = op.MaxPool(value, kernel_shape=[2, 2], strides=[2, 2])
            value = _rounded(op, pooled, step, f"{name}.pooled")
        before = step
    outputs = []
    for number, ((first, last), step) in enumerate(zip(heads, steps[len(encoder) :], strict=True)):
        name = f"heads.{number}"
        hidden = op.Relu(_add_convolution(op, value, first, before, f"{name}.first"))
        outputs.append(_add_convolution(op, _rounded(op, hidden, step, name), last, step, f"{name}.last"))
    return outputs[0], outputs[1] if len(outputs) == 2 else None


def _constant(op: OpBuilder, values: NDArray[Any], name: str) -> ir.Value:
    from onnxscript import ir

    return op.initializer(ir.tensor(values, name=name))


def _rounded(op: OpBuilder, value: ir.Value, step: float, name: str) -> ir.Value:
    """The nearest multiples of a step from 0 to 255, where a runtime may hold them as bytes."""
    place = _constant(op, np.array(step, np.float32), f"{name}.step"), _constant(op, np.array(0, np.uint8), f"{name}.0")
    return op.DequantizeLinear(op.QuantizeLinear(value, *place), *place)


def _add_convolution(op: OpBuilder, value: ir.Value, convolution: nn.Conv2d, step: float, name: str) -> ir.Value:
    """A convolution of multiples of a step, its weights as bytes and its bias in units of their products."""
    whole, steps = quantized_weight(convolution)
    assert convolution.bias is not None
    units = np.float32(step) * steps.numpy()
    bias = np.rint(convolution.bias.detach().double().numpy() / units.astype(np.float64))
    limits = np.iinfo(np.int32)

    def dequantized(values: NDArray[Any], scales: NDArray[np.float32], which: str) -> ir.Value:
        zeros = np.zeros(len(scales), values.dtype)
        parts = ((values, which), (scales, f"{which}_steps"), (zeros, f"{which}_zeros"))
        return op.DequantizeLinear(*(_constant(op, part, f"{name}.{title}") for part, title in parts), axis=0)

    weight = dequantized(whole.numpy(), steps.numpy(), "weight")
    added = dequantized(bias.clip(limits.min, limits.max).astype(np.int32), units, "bias")
    side = convolution.kernel_size[0]
    return op.Conv(value, weight, added, kernel_shape=[side, side], pads=[side // 2] * 4)
