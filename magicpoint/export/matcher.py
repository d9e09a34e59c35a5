"""A learned matcher as an ONNX graph, alone or behind the extraction of two images.

The graph goes through all layers: it neither stops early nor leaves keypoints out.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from torch import nn

from ..decoding.settings import DecodeSettings
from ..matching.settings import LearnedSettings
from ..model.attention import CrossAttention, Mix, SelfAttention
from ..model.matcher import ABSENT, AssignmentHead, MatcherNetwork
from ..model.network import PointNetwork
from .keypoints import add_keypoints
from .parameters import add_parameter

if TYPE_CHECKING:
    from onnxscript import OpBuilder, ir


class _Turn(NamedTuple):
    """Cosines and sines, each (1, N, D / 2)."""

    cosine: ir.Value
    sine: ir.Value


def add_matches_of_images(
    op: OpBuilder,
    images: Mapping[str, ir.Value],
    model: PointNetwork,
    matcher: MatcherNetwork,
    settings: DecodeSettings,
    learned: LearnedSettings,
) -> dict[str, ir.Value]:
    """Outputs by name, see `export_model`, of two images (1, 1, H, W) of any sizes."""
    inputs: dict[str, ir.Value] = {}
    for side, image in enumerate(images.values()):
        found = add_keypoints(op, image, model, settings, "float32", None)
        for name in ("keypoints", "descriptors"):
            inputs[f"{name}{side}"] = op.Slice(op.Squeeze(found[name], [0]), [0], found["count"], [0])
        inputs[f"image_size{side}"] = op.Gather(op.Shape(image), [3, 2])
    outputs = {name: inputs[name] for name in ("keypoints0", "keypoints1")}
    return _shaped(outputs) | add_matches(op, inputs, matcher, learned)


def add_matches(
    op: OpBuilder, inputs: Mapping[str, ir.Value], network: MatcherNetwork, learned: LearnedSettings
) -> dict[str, ir.Value]:
    """Outputs by name, see `export_model`, of the features of two images.

    Args:
        op: Of the graph to which all is added.
        inputs: `keypoints0` (N, 2), `descriptors0` (N, D), `image_size0` int64 (2,), and those of image 1.
        network: It stays as it is.
        learned: The least score.
    """
    from onnxscript import ir

    states, turns, absent = [], [], []
    for side in "01":
        size = op.Cast(inputs[f"image_size{side}"], to=ir.DataType.FLOAT)
        half = op.Mul(size, 0.5)
        # One of nobody more: runtimes stumble over tensors of no keypoint.
        keypoints, descriptors = (
            op.Pad(inputs[f"{name}{side}"], [0, 0, 1, 0]) for name in ("keypoints", "descriptors")
        )
        nothing = op.Mul(op.ReduceSum(inputs[f"keypoints{side}"], [1], keepdims=0), 0.0)
        absent.append(op.Pad(nothing, [0, 1], ABSENT))
        middle = op.Sub(op.Add(keypoints, 0.5), half)
        places = op.Div(middle, op.ReduceMax(half, keepdims=1))
        frequencies = network.rotary.frequencies.weight.detach().T.contiguous().numpy()
        angle = op.Unsqueeze(op.MatMul(places, add_parameter(op, "rotary.frequencies.weight", frequencies)), [0])
        turns.append(_Turn(op.Cos(angle), op.Sin(angle)))
        states.append(_linear(op, descriptors, network.describe, "describe"))
    for layer, (look, cross) in enumerate(zip(network.selves, network.crosses, strict=True)):
        assert isinstance(look, SelfAttention)
        assert isinstance(cross, CrossAttention)
        states = [
            _add_self(op, state, turn, nobody, look, f"selves.{layer}")
            for state, turn, nobody in zip(states, turns, absent, strict=True)
        ]
        states = _add_cross(op, states, absent, cross, f"crosses.{layer}")
    head, last = network.heads[-1], len(network.heads) - 1
    assert isinstance(head, AssignmentHead)
    return _add_choice(op, _add_scores(op, states, absent, head, f"heads.{last}"), learned.min_score)


def _linear(op: OpBuilder, value: ir.Value, layer: nn.Module, name: str) -> ir.Value:
    assert isinstance(layer, nn.Linear)
    weight = add_parameter(op, f"{name}.weight", layer.weight.detach().T.contiguous().numpy())
    return op.Add(op.MatMul(value, weight), add_parameter(op, f"{name}.bias", layer.bias.detach().numpy()))


def _split(op: OpBuilder, value: ir.Value, heads: int, channels: int) -> ir.Value:
    """(N, C) -> (heads, N, C / heads)."""
    return op.Transpose(op.Reshape(value, [-1, heads, channels // heads]), perm=[1, 0, 2])


def _merge(op: OpBuilder, value: ir.Value, channels: int) -> ir.Value:
    return op.Reshape(op.Transpose(value, perm=[1, 0, 2]), [-1, channels])


def _turned(op: OpBuilder, value: ir.Value, turn: _Turn, half: int) -> ir.Value:
    first, second = op.Slice(value, [0], [half], [2]), op.Slice(value, [half], [sys.maxsize], [2])
    return op.Concat(
        op.Sub(op.Mul(first, turn.cosine), op.Mul(second, turn.sine)),
        op.Add(op.Mul(first, turn.sine), op.Mul(second, turn.cosine)),
        axis=2,
    )


def _attend(op: OpBuilder, query: ir.Value, key: ir.Value, value: ir.Value, absent: ir.Value, length: int) -> ir.Value:
    alike = op.Mul(op.MatMul(query, op.Transpose(key, perm=[0, 2, 1])), length**-0.5)
    return op.MatMul(op.Softmax(op.Add(alike, absent), axis=2), value)


def _add_self(
    op: OpBuilder, state: ir.Value, turn: _Turn, absent: ir.Value, block: SelfAttention, name: str
) -> ir.Value:
    channels, heads = block.output.in_features, block.heads
    length = channels // heads
    inputs = _linear(op, state, block.inputs, f"{name}.inputs")
    query, key, value = (
        _split(op, op.Slice(inputs, [number * channels], [(number + 1) * channels], [1]), heads, channels)
        for number in range(3)
    )
    query, key = _turned(op, query, turn, length // 2), _turned(op, key, turn, length // 2)
    return _mixed(op, state, _merge(op, _attend(op, query, key, value, absent, length), channels), block, name)


def _add_cross(
    op: OpBuilder, states: list[ir.Value], absent: list[ir.Value], block: CrossAttention, name: str
) -> list[ir.Value]:
    channels, heads = block.output.in_features, block.heads
    compared = [_split(op, _linear(op, state, block.compare, f"{name}.compare"), heads, channels) for state in states]
    values = [_split(op, _linear(op, state, block.value, f"{name}.value"), heads, channels) for state in states]
    messages = [
        _merge(
            op, _attend(op, compared[here], compared[there], values[there], absent[there], channels // heads), channels
        )
        for here, there in ((0, 1), (1, 0))
    ]
    return [_mixed(op, state, message, block, name) for state, message in zip(states, messages, strict=True)]


def _mixed(
    op: OpBuilder, state: ir.Value, message: ir.Value, block: SelfAttention | CrossAttention, name: str
) -> ir.Value:
    mix = block.mix
    assert isinstance(mix, Mix)
    told = _linear(op, message, block.output, f"{name}.output")
    wide = _linear(op, op.Concat(state, told, axis=1), mix.widen, f"{name}.mix.widen")
    parameters = [
        add_parameter(op, f"{name}.mix.norm.{each}", getattr(mix.norm, each).detach().numpy())
        for each in ("weight", "bias")
    ]
    normal = op.LayerNormalization(wide, *parameters, axis=-1, epsilon=mix.norm.eps)
    bent = op.Mul(op.Mul(normal, 0.5), op.Add(op.Erf(op.Mul(normal, math.sqrt(0.5))), 1.0))
    return op.Add(state, _linear(op, bent, mix.narrow, f"{name}.mix.narrow"))


def _add_scores(
    op: OpBuilder, states: list[ir.Value], absent: list[ir.Value], head: AssignmentHead, name: str
) -> ir.Value:
    """(N + 1, M + 1), as `model.matcher.log_scores`; those of nobody are very small."""
    absent0, absent1 = op.Unsqueeze(absent[0], [1]), op.Unsqueeze(absent[1], [0])
    projected0, projected1 = (_linear(op, state, head.project, f"{name}.project") for state in states)
    similarity = op.Add(op.Add(op.MatMul(projected0, op.Transpose(projected1, perm=[1, 0])), absent0), absent1)
    # log sigmoid(x) = -log(1 + exp(-x))
    matchable0, matchable1 = (
        op.Neg(op.Softplus(op.Neg(_linear(op, state, head.matchable, f"{name}.matchable")))) for state in states
    )
    both = op.Add(op.LogSoftmax(similarity, axis=1), op.LogSoftmax(similarity, axis=0))
    scores = op.Add(op.Add(both, matchable0), op.Transpose(matchable1, perm=[1, 0]))
    return op.Add(op.Add(scores, absent0), absent1)


def _add_choice(op: OpBuilder, scores: ir.Value, min_score: float) -> dict[str, ir.Value]:
    """As `model.matcher.counterparts`."""
    from onnxscript import ir

    best0, best1 = op.ArgMax(scores, axis=1, keepdims=0), op.ArgMax(scores, axis=0, keepdims=0)
    highest = op.ReduceMax(scores, axes=[1], keepdims=0)
    numbers = op.Range(0, op.Gather(op.Shape(scores), 0), 1)
    mutual = op.Equal(op.Gather(best1, best0), numbers)
    kept = op.And(mutual, op.Not(op.Less(highest, math.log(min_score))))
    index0 = op.Squeeze(op.NonZero(kept), [0])
    index1 = op.Gather(best0, index0)
    matches = op.Concat(op.Unsqueeze(index0, [1]), op.Unsqueeze(index1, [1]), axis=1)
    chances = op.Min(op.Exp(op.Gather(highest, index0)), 1.0)
    matches.shape, chances.shape = ir.Shape(["matches", 2]), ir.Shape(["matches"])
    return {"matches01": matches, "match_scores": chances}


def _shaped(keypoints: dict[str, ir.Value]) -> dict[str, ir.Value]:
    from onnxscript import ir

    for name, value in keypoints.items():
        value.shape = ir.Shape([f"count{name[-1]}", 2])
    return keypoints
