"""ONNX files of the dense maps, or of everything from the image to keypoints.

The graphs are written operator by operator, so they do not change with torch's own exporter.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..core.errors import InputError
from ..core.extras import require
from ..decoding.settings import DecodeSettings
from ..matching.settings import LearnedSettings
from ..model.matcher import MatcherNetwork
from ..model.network import PointNetwork
from ..model.weights import weights_hash
from .dense import add_dense
from .keypoints import add_keypoints, capacity
from .matcher import add_matches, add_matches_of_images

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

MATCHER_KINDS: tuple[str, ...] = ("matcher", "matches")
"""What it can compute with a matcher."""


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


def matcher_model(
    model: PointNetwork,
    kind: str,
    settings: DecodeSettings,
    matcher: MatcherNetwork,
    learned: LearnedSettings,
) -> bytes:
    """The content of an ONNX file with a matcher, see `export_model`.

    Raises:
        InputError: The matcher is for the features of another network.
    """
    features = weights_hash(model.state_dict())
    if matcher.settings.features != features:
        raise InputError(
            f"the matcher is for features of the weights {matcher.settings.features[:12]}, these are {features[:12]}"
        )
    metadata = {"kind": kind, "weights_hash": features, "version": __version__}
    metadata |= {"matcher_hash": weights_hash(matcher.state_dict()), "min_score": str(learned.min_score)}
    inputs: dict[str, tuple[str, list[int | str]]] = {}
    if kind == "matcher":
        for side in "01":
            inputs |= {
                f"keypoints{side}": ("FLOAT", [f"count{side}", 2]),
                f"descriptors{side}": ("FLOAT", [f"count{side}", matcher.settings.descriptor_dim]),
                f"image_size{side}": ("INT64", [2]),
            }
        return build_graph(lambda op, values: add_matches(op, values, matcher, learned), inputs, metadata)
    settings = dataclasses.replace(settings, max_keypoints=capacity(settings))
    metadata["decode"] = json.dumps(dataclasses.asdict(settings))
    inputs = {f"image{side}": ("FLOAT", [1, 1, f"height{side}", f"width{side}"]) for side in "01"}
    return build_graph(
        lambda op, images: add_matches_of_images(op, images, model, matcher, settings, learned), inputs, metadata
    )


def build(
    add: Callable[[OpBuilder, ir.Value], Mapping[str, ir.Value]], name: str, metadata: Mapping[str, str]
) -> bytes:
    """The content of an ONNX file.

    Args:
        add: Adds operators to a graph; takes the graph's input, float32 (B, 1, H, W), and returns its outputs.
        name: Of the input.
        metadata: What the file says of itself.
    """
    inputs: dict[str, tuple[str, list[int | str]]] = {name: ("FLOAT", ["batch", 1, "height", "width"])}
    return build_graph(lambda op, values: add(op, values[name]), inputs, metadata)


def build_graph(
    add: Callable[[OpBuilder, Mapping[str, ir.Value]], Mapping[str, ir.Value]],
    inputs: Mapping[str, tuple[str, Sequence[int | str]]],
    metadata: Mapping[str, str],
) -> bytes:
    """The content of an ONNX file.

    Args:
        add: Adds operators to a graph; takes the graph's inputs by name, and returns its outputs.
        inputs: The type and the shape of each input.
        metadata: What the file says of itself.
    """
    require("onnxscript", "onnx")
    import onnx
    from onnxscript import GraphBuilder, ir

    builder = GraphBuilder(ir.Graph([], [], nodes=[], opset_imports={"": OPSET}, name="magicpoint"))
    values = {name: builder.input(name, ir.DataType[kind], list(shape)) for name, (kind, shape) in inputs.items()}
    for output, value in add(builder.op, values).items():
        builder.add_output(value, output)
    for node in builder.graph.all_nodes():
        node.metadata_props.clear()  # the builder's notes
    file = ir.to_proto(
        ir.Model(builder.graph, ir_version=_IR_VERSION, producer_name="magicpoint", metadata_props=dict(metadata))
    )
    onnx.checker.check_model(file, full_check=True)
    content: bytes = file.SerializeToString()
    return content
