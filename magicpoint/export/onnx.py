"""Networks for other programs: ONNX files of the dense maps, or of everything from the image to keypoints.

The graphs are written operator by operator, so they do not change with torch's own exporter.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from ..core.files import write_atomically
from ..decoding.decode import DecodeSettings
from ..model.network import PointNetwork
from .dense import dense_graph
from .graph import import_onnx
from .keypoints import keypoint_graph

Format = Literal["onnx"]

Kind = Literal["dense", "keypoints"]


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
