"""Networks for other programs: ONNX files of the dense maps, or of everything from the image to keypoints.

The graphs are written operator by operator, so they do not change with torch's own exporter.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Literal, get_args

import torch

from .checkpoint import weights_hash, write_atomically
from .decode import DecodeSettings
from .fold import fold_batch_norm
from .labels import CELL_SIZE, DUSTBIN
from .model import PointNetwork
from .onnx_decode import add_decoding, add_padding, crop
from .onnx_graph import Graph, Shape, Shapes, import_onnx

if TYPE_CHECKING:
    from onnx import ModelProto

Format = Literal["onnx"]

Kind = Literal["dense", "keypoints"]

DEFAULT_MAX_KEYPOINTS = 1024

_INPUT: Shapes = {"image": ("float", ["batch", 1, "height", "width"])}


def export_model(
    model: PointNetwork,
    out: Path,
    format: Format = "onnx",
    kind: Kind = "dense",
    settings: DecodeSettings | None = None,
) -> Path:
    """Write a network for another program.

    Both kinds take `image`, float32 (B, 1, H, W), grey in [0, 1], of any batch size, height and width.

    - dense: H and W are multiples of 8. Outputs `heatmap` (B, H, W) and, of a network with descriptors, `descriptors`
      (B, D, H / 8, W / 8) of length 1.
    - keypoints: any H and W. Outputs `keypoints` (B, K, 2) as (x, y) in pixels, the centre of the top-left pixel being
      (0, 0), `scores` (B, K), the largest first, `descriptors` (B, K, D) where there are any, and `count` int64 (B,).
      What follows the first `count` of an image is 0. They are those that `decode` and `sample_descriptors` give.

    Args:
        model: It stays as it is; BatchNorm is folded.
        out: The file to write; its name ends in .onnx.
        format: The file's format.
        kind: What the file computes.
        settings: For keypoints; K is their `max_keypoints`, or 1024 if that is None.

    Returns:
        `out`.

    Raises:
        ImportError: onnx is not installed; the message says how to get it.
        OSError: The file cannot be written.
        ValueError: The format or kind is unknown, or the file has another suffix.
    """
    if format not in get_args(Format) or kind not in get_args(Kind):
        raise ValueError(f"format must be onnx and kind {' or '.join(get_args(Kind))}, got {format!r} and {kind!r}")
    if out.suffix.lower() != f".{format}":
        raise ValueError(f"the file's name must end in .{format}, got {out}")
    graph = dense_graph(model) if kind == "dense" else keypoint_graph(model, settings)
    import_onnx().checker.check_model(graph, full_check=True)
    content = graph.SerializeToString()
    write_atomically(out, lambda temporary: temporary.write_bytes(content))
    return out


def dense_graph(model: PointNetwork) -> ModelProto:
    """The graph of the dense maps, see `export_model`."""
    graph = Graph()
    heatmap, descriptors = _add_network(graph, model, "image")
    graph.name(graph("Squeeze", heatmap, graph.whole(1)), "heatmap")
    outputs: dict[str, Shape] = {"heatmap": ("float", ["batch", "height", "width"])}
    if descriptors is not None:
        graph.name(descriptors, "descriptors")
        dim = model.settings.descriptor_dim
        outputs["descriptors"] = ("float", ["batch", dim, "cell_rows", "cell_columns"])
    return graph.finish(_INPUT, outputs, _description(model, "dense"))


def keypoint_graph(model: PointNetwork, settings: DecodeSettings | None = None) -> ModelProto:
    """The graph from the image to padded keypoints, see `export_model`."""
    settings = settings or DecodeSettings()
    count = settings.max_keypoints or DEFAULT_MAX_KEYPOINTS
    graph = Graph()
    padded, height, width = add_padding(graph, "image", CELL_SIZE)
    heatmap, dense = _add_network(graph, model, padded)
    decoded = add_decoding(graph, crop(graph, heatmap, height, width), dense, settings, count)
    sizes: dict[str, Shape] = {
        "keypoints": ("float", ["batch", count, 2]),
        "scores": ("float", ["batch", count]),
        "descriptors": ("float", ["batch", count, model.settings.descriptor_dim]),
        "count": ("int64", ["batch"]),
    }
    for output, value in decoded.items():
        graph.name(value, output)
    return graph.finish(_INPUT, {output: sizes[output] for output in decoded}, _description(model, "keypoints"))


def import_onnxruntime() -> ModuleType:
    """ONNX Runtime, or an ImportError that says how to get it."""
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError("this needs ONNX Runtime: pip install 'magicpoint[onnx]'") from error
    module: ModuleType = onnxruntime
    return module


def _description(model: PointNetwork, kind: str) -> dict[str, str]:
    return {"kind": kind, "weights_hash": weights_hash(model.state_dict())}


def _add_network(graph: Graph, model: PointNetwork, image: str) -> tuple[str, str | None]:
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
