"""The dense maps as an ONNX graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..core.grid import CELL_SIZE, DUSTBIN
from ..model.fold import fold_batch_norm
from ..model.network import PointNetwork
from ..model.weights import weights_hash
from .graph import Graph, Shape, Shapes

if TYPE_CHECKING:
    from onnx import ModelProto

INPUT: Shapes = {"image": ("float", ["batch", 1, "height", "width"])}


def dense_graph(model: PointNetwork) -> ModelProto:
    """The graph of the dense maps, see `export_model`."""
    graph = Graph()
    heatmap, descriptors = add_network(graph, model, "image")
    graph.name(graph("Squeeze", heatmap, graph.whole(1)), "heatmap")
    outputs: dict[str, Shape] = {"heatmap": ("float", ["batch", "height", "width"])}
    if descriptors is not None:
        graph.name(descriptors, "descriptors")
        dim = model.settings.descriptor_dim
        outputs["descriptors"] = ("float", ["batch", dim, "cell_rows", "cell_columns"])
    return graph.finish(INPUT, outputs, describe(model, "dense"))


def describe(model: PointNetwork, kind: str) -> dict[str, str]:
    return {"kind": kind, "weights_hash": weights_hash(model.state_dict())}


def add_network(graph: Graph, model: PointNetwork, image: str) -> tuple[str, str | None]:
    """The heatmap (B, 1, H, W) and the dense descriptors."""
    folded = fold_batch_norm(model).float().cpu()
    features = _add_layers(graph, folded.encoder, image)
    logits = _add_layers(graph, folded.detector, features)
    shares = graph("Softmax", logits, axis=1)
    cells = graph("Slice", shares, graph.whole(0), graph.whole(DUSTBIN), graph.whole(1))
    heatmap = graph("DepthToSpace", cells, blocksize=CELL_SIZE)
    if folded.descriptor is None:
        return heatmap, None
    return heatmap, graph("LpNormalization", _add_layers(graph, folded.descriptor, features), axis=1, p=2)


def _add_layers(graph: Graph, part: torch.nn.Module, value: str) -> str:
    for layer in part.modules():
        if isinstance(layer, torch.nn.Conv2d):
            assert layer.bias is not None
            tensors = (graph.tensor(tensor.detach().numpy()) for tensor in (layer.weight, layer.bias))
            value = graph("Conv", value, *tensors, pads=[layer.kernel_size[0] // 2] * 4)
        elif isinstance(layer, torch.nn.ReLU):
            value = graph("Relu", value)
        elif isinstance(layer, torch.nn.MaxPool2d):
            value = graph("MaxPool", value, kernel_shape=[2, 2], strides=[2, 2])
    return value
