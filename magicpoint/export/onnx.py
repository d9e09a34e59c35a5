"""ONNX files of the dense maps, or of everything from the image to keypoints.

The graphs are written operator by operator, so they do not change with torch's own exporter.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..core.extras import require
from ..decoding.settings import DecodeSettings
from ..model.network import PointNetwork
from ..model.weights import weights_hash
from .dense import add_dense
from .keypoints import add_keypoints, capacity

if TYPE_CHECKING:
    from onnxscript import OpBuilder, ir

OPSET = 17
"""What every runtime of the last years knows: GridSample came with 16, and 18 changed operators that are used here."""

_IR_VERSION = 8  # the file format of that opset

UNROLLED_ROUNDS = 5
"""Of the suppression where there is no `Loop`. With the default settings photographs need up to 3."""

PRECISIONS: tuple[str, ...] = ("float32", "int8")
"""The number formats of the network's layers."""

Add = Callable[["OpBuilder", "ir.Value", PointNetwork, DecodeSettings, str], dict[str, "ir.Value"]]

KINDS: Mapping[str, Add] = {
    "dense": lambda op, image, model, settings, precision: add_dense(op, image, model, precision),
    "keypoints": partial(add_keypoints, rounds=None),
    "keypoints_unrolled": partial(add_keypoints, rounds=UNROLLED_ROUNDS),
}
"""What a graph can compute, see `export_model`, and what adds that to it."""


def onnx_model(
    model: PointNetwork,
    kind: str,
    settings: DecodeSettings,
    provenance: Mapping[str, Any] | None = None,
    precision: str = "float32",
) -> bytes:
    """The content of an ONNX file, see `export_model`."""
    metadata = {"kind": kind, "weights_hash": weights_hash(model.state_dict()), "version": __version__}
    if precision != "float32":
        metadata["precision"] = precision
    if model.settings.descriptor_dim:
        metadata["descriptor_sampling"] = model.settings.descriptor_sampling
    if provenance and "licence" in provenance:
        metadata["licence"] = str(provenance["licence"])
    if kind != "dense":
        settings = dataclasses.replace(settings, max_keypoints=capacity(settings))
        metadata["decode"] = json.dumps(dataclasses.asdict(settings))
    return build(lambda op, image: KINDS[kind](op, image, model, settings, precision), "image", metadata)


def build(
    add: Callable[[OpBuilder, ir.Value], Mapping[str, ir.Value]], name: str, metadata: Mapping[str, str]
) -> bytes:
    """The content of an ONNX file.

    Args:
        add: Adds operators to a graph; takes the graph's input, float32 (B, 1, H, W), and returns its outputs.
        name: Of the input.
        metadata: What the file says of itself.
    """
    require("onnxscript", "onnx")
    import onnx
    from onnxscript import GraphBuilder, ir

    builder = GraphBuilder(ir.Graph([], [], nodes=[], opset_imports={"": OPSET}, name="magicpoint"))
    image = builder.input(name, ir.DataType.FLOAT, ["batch", 1, "height", "width"])
    for output, value in add(builder.op, image).items():
        builder.add_output(value, output)
    for node in builder.graph.all_nodes():
        node.metadata_props.clear()  # the builder's notes
    file = ir.to_proto(
        ir.Model(builder.graph, ir_version=_IR_VERSION, producer_name="magicpoint", metadata_props=dict(metadata))
    )
    onnx.checker.check_model(file, full_check=True)
    content: bytes = file.SerializeToString()
    return content
