"""The dense maps as an ONNX graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..core.grid import CELL_SIZE, DUSTBIN
from ..model.fold import fold_batch_norm
from ..model.network import PointNetwork
from .parameters import add_parameter
from .quantized import add_quantized

if TYPE_CHECKING:
    from onnxscript import OpBuilder, ir

SHORTEST = 1e-12
"""A vector is divided by its length, but by no less than this, as torch's `normalize` does it: 0 stays 0."""


def add_dense(op: OpBuilder, image: ir.Value, model: PointNetwork, precision: str = "float32") -> dict[str, ir.Value]:
    """Heatmap (B, H, W) and descriptors (B, D, H / 8, W / 8) of images whose sides are multiples of 8."""
    from onnxscript import ir

    heatmap, descriptors = add_network(op, image, model, precision)
    heatmap.shape = ir.Shape(["batch", "height", "width"])
    if descriptors is None:
        return {"heatmap": heatmap}
    descriptors.shape = ir.Shape(["batch", model.settings.descriptor_dim, "cell_rows", "cell_columns"])
    return {"heatmap": heatmap, "descriptors": descriptors}


def add_network(
    op: OpBuilder, image: ir.Value, model: PointNetwork, precision: str
) -> tuple[ir.Value, ir.Value | None]:
    """The heatmap (B, H, W) and the dense descriptors."""
    if precision == "int8":
        logits, dense = add_quantized(op, image, model)
    else:
        folded = fold_batch_norm(model).float().cpu()
        features = _add_layers(op, image, folded, "encoder")
        logits = _add_layers(op, features, folded, "detector")
        dense = None if folded.descriptor is None else _add_layers(op, features, folded, "descriptor")
    return _add_heatmap(op, logits), None if dense is None else add_normalization(op, dense, axis=1)


def _add_heatmap(op: OpBuilder, logits: ir.Value) -> ir.Value:
    """Logits (B, 65, Hc, Wc) as pixels (B, 8 Hc, 8 Wc).

    OpenCV before 4.11 has no DepthToSpace for maps of any size: these are reshapes that copy sizes and find out one.
    """
    shares = op.Softmax(op.Transpose(logits, perm=[0, 2, 3, 1]), axis=3)
    pixels = op.Slice(shares, [0], [DUSTBIN], [3])
    pixels = op.Reshape(pixels, [0, 0, 0, CELL_SIZE, CELL_SIZE])  # cell's row, cell's column, row, column
    pixels = op.Transpose(pixels, perm=[0, 2, 4, 1, 3])
    pixels = op.Reshape(pixels, [0, 0, 0, -1])  # cell's column, column, 8 Hc
    return op.Reshape(op.Transpose(pixels, perm=[0, 3, 1, 2]), [0, 0, -1])


def add_normalization(op: OpBuilder, vectors: ir.Value, axis: int) -> ir.Value:
    """Vectors along an axis at length 1; by operators that OpenCV 4 knows, too, unlike LpNormalization."""
    lengths = op.ReduceL2(vectors, axes=[axis], keepdims=1)
    return op.Div(vectors, op.Max(lengths, SHORTEST))


def _add_layers(op: OpBuilder, value: ir.Value, model: PointNetwork, part: str) -> ir.Value:
    def parameters(name: str, layer: torch.nn.Module, *which: str) -> list[ir.Value]:
        return [add_parameter(op, f"{name}.{each}", getattr(layer, each).detach().numpy()) for each in which]

    for name, layer in model.get_submodule(part).named_modules(prefix=part):
        if isinstance(layer, torch.nn.Conv2d):
            side = layer.kernel_size[0]
            value = op.Conv(
                value, *parameters(name, layer, "weight", "bias"), kernel_shape=[side, side], pads=[side // 2] * 4
            )
        elif isinstance(layer, torch.nn.BatchNorm2d):
            norm = parameters(name, layer, "weight", "bias", "running_mean", "running_var")
            value = op.BatchNormalization(value, *norm, epsilon=layer.eps)
        elif isinstance(layer, torch.nn.ReLU):
            value = op.Relu(value)
        elif isinstance(layer, torch.nn.MaxPool2d):
            value = op.MaxPool(value, kernel_shape=[2, 2], strides=[2, 2])
    return value
