"""Everything from the image to keypoints as an ONNX graph, with outputs of a fixed size.

All is computed at every pixel and the best are taken at the end, so no shape depends on what an image shows.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ..core.grid import CELL_SIZE, DescriptorSampling
from ..decoding.decode import FLOOR, LARGEST_RISE, ROUNDING
from ..decoding.settings import DecodeSettings
from ..model.network import PointNetwork
from .dense import add_network, add_normalization

if TYPE_CHECKING:
    from onnxscript import OpBuilder, ir

DEFAULT_MAX_KEYPOINTS = 1024


def capacity(settings: DecodeSettings) -> int:
    """The K keypoints for which the outputs have room."""
    return settings.max_keypoints or DEFAULT_MAX_KEYPOINTS


def add_keypoints(
    op: OpBuilder,
    image: ir.Value,
    model: PointNetwork,
    settings: DecodeSettings,
    precision: str,
    rounds: int | None,
) -> dict[str, ir.Value]:
    """Outputs by name, see `export_model`, of images (B, 1, H, W).

    Args:
        op: Of the graph to which all is added.
        image: In the graph.
        model: It stays as it is.
        settings: Of the decoding.
        precision: Of the network's layers, float32 or int8.
        rounds: Of the suppression; None goes on in a `Loop` until no pixel is left.
    """
    from onnxscript import ir

    size = op.Slice(op.Shape(image), [2], [4])
    missing = op.Mod(op.Neg(size), CELL_SIZE)  # the sign of the divisor: 0 to 7
    padded = op.Pad(image, op.Concat([0] * 6, missing, axis=0), mode="edge")
    heatmap, dense = add_network(op, padded, model, precision)
    heatmap = op.Slice(op.Unsqueeze(heatmap, [1]), [0, 0], size, [2, 3])
    outputs = add_decoding(op, heatmap, dense, settings, rounds, model.settings.descriptor_sampling)
    count = capacity(settings)
    sizes = {"keypoints": [count, 2], "scores": [count], "descriptors": [count, model.settings.descriptor_dim]}
    for name, value in outputs.items():
        value.shape = ir.Shape(["batch", *sizes.get(name, [])])
    return outputs


def add_decoding(
    op: OpBuilder,
    heatmap: ir.Value,
    dense: ir.Value | None,
    settings: DecodeSettings,
    rounds: int | None,
    sampling: DescriptorSampling = "centres",
) -> dict[str, ir.Value]:
    """The same of a heatmap (B, 1, H, W) and a padded image's dense descriptors."""
    from onnxscript import ir

    lowest = settings.threshold / LARGEST_RISE * (1 - ROUNDING) if settings.subpixel else settings.threshold
    peaks = _add_suppression(op, heatmap, settings.nms_radius, lowest, rounds)
    offsets, heights = _add_refinement(op, heatmap) if settings.subpixel else ([], heatmap)
    heights = op.Min(heights, 1.0)
    good = op.And(op.And(peaks, op.Greater(heights, settings.threshold)), _add_interior(op, heatmap, settings.border))
    scores = _flat(op, op.Where(good, heights, 0.0))

    # With K zeros more, an image of less than K pixels has K best, too.
    count = capacity(settings)
    best, places = op.TopK(op.Pad(scores, [0, 0, 0, count]), [count], axis=1, _outputs=2)
    found = op.Greater(best, 0.0)
    places = op.Where(found, places, 0)
    width = op.Slice(op.Shape(heatmap), [3], [4])
    point = [op.Cast(pixel, to=ir.DataType.FLOAT) for pixel in (op.Mod(places, width), op.Div(places, width))]
    for axis, offset in enumerate(offsets):
        point[axis] = op.Add(point[axis], op.GatherElements(_flat(op, offset), places, axis=1))
    keypoints = op.Concat(*(op.Unsqueeze(coordinate, [2]) for coordinate in point), axis=2)
    keypoints = op.Where(op.Unsqueeze(found, [2]), keypoints, 0.0)

    outputs = {"keypoints": keypoints, "scores": best}
    if dense is not None:
        outputs["descriptors"] = _add_sampling(op, dense, keypoints, found, sampling)
    outputs["count"] = op.ReduceSum(op.Cast(found, to=ir.DataType.INT64), [1], keepdims=0)
    return outputs


def _flat(op: OpBuilder, values: ir.Value) -> ir.Value:
    """A map (B, 1, H, W) as (B, H W)."""
    return op.Reshape(values, [0, -1])


def _add_suppression(op: OpBuilder, heatmap: ir.Value, radius: int, threshold: float, rounds: int | None) -> ir.Value:
    """The peaks, bool (B, 1, H, W): rounds of max-pooling, as in `decoding.nms._peaks_by_pooling`."""
    from onnxscript import ir

    above = op.Greater(heatmap, threshold)
    if radius == 0:
        return above
    around = op.MaxPool(heatmap, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    left = op.Where(op.And(above, op.Equal(heatmap, around)), heatmap, 0.0)
    peaks = op.Less(heatmap, -1.0)  # none
    if rounds is not None:
        for _ in range(rounds):
            left, peaks = _add_round(op, left, peaks, radius)
        return peaks

    def body(op: OpBuilder, number: ir.Value, go_on: ir.Value, left: ir.Value, peaks: ir.Value) -> list[ir.Value]:
        op.builder.push_module("round")  # a prefix: names are numbered from 0 in each graph
        left, peaks = _add_round(op, left, peaks, radius)
        return [op.Greater(op.ReduceMax(left, keepdims=0), 0.0), left, peaks]

    def state(suffix: str) -> list[ir.Value]:
        shape: list[int | str | None] = ["batch", 1, "height", "width"]
        return [
            ir.val("go_on" + suffix, ir.DataType.BOOL, []),
            ir.val("left" + suffix, ir.DataType.FLOAT, shape),
            ir.val("peaks" + suffix, ir.DataType.BOOL, shape),
        ]

    before = [ir.val("round", ir.DataType.INT64, []), *state("_before")]
    graph = op.builder.subgraph(body, before, state("_after"), name="round")
    return op.Loop(None, True, left, peaks, body=graph, _outputs=2)[1]


def _add_round(op: OpBuilder, left: ir.Value, peaks: ir.Value, radius: int) -> tuple[ir.Value, ir.Value]:
    """Keeps the pixels that are visited before all others of their square, and drops those that they suppress."""
    from onnxscript import ir

    side = 2 * radius + 1
    rows, square = _add_pooling(op, left, side)
    first = op.And(op.Greater(left, 0.0), op.Equal(left, square))
    for values, axis in ((rows, 2), (left, 3)):
        # Windows that end at their pixel, shifted by one to end just before it.
        kernel, pads, shift = [1, 1], [0] * 4, [0] * 8
        kernel[axis - 2], pads[axis - 2], shift[axis] = radius, radius - 1, 1
        windows = op.Pad(op.MaxPool(values, kernel_shape=kernel, pads=pads), shift)
        first = op.And(first, op.Greater(left, op.Slice(windows, [0], [-1], [axis])))
    _, suppressed = _add_pooling(op, op.Cast(first, to=ir.DataType.FLOAT), side)
    return op.Where(op.Greater(suppressed, 0.0), 0.0, left), op.Or(peaks, first)


def _add_pooling(op: OpBuilder, values: ir.Value, side: int) -> tuple[ir.Value, ir.Value]:
    """The largest of a row of `side` pixels around each, and of a square."""
    radius = side // 2
    rows = op.MaxPool(values, kernel_shape=[1, side], pads=[0, radius, 0, radius])
    return rows, op.MaxPool(rows, kernel_shape=[side, 1], pads=[radius, 0, radius, 0])


def _add_interior(op: OpBuilder, heatmap: ir.Value, border: int) -> ir.Value:
    """Where a map (B, 1, H, W) is not in its border: bool (H, W)."""
    inside = []
    for axis in (2, 3):
        length = op.Gather(op.Shape(heatmap), axis)
        places = op.Range(0, length, 1)
        inside.append(op.And(op.Greater(places, border - 1), op.Less(places, op.Sub(length, border))))
    return op.And(op.Unsqueeze(inside[0], [1]), inside[1])


def _add_refinement(op: OpBuilder, heatmap: ir.Value) -> tuple[list[ir.Value], ir.Value]:
    """How far in x and in y each pixel's peak is from it, and the peak's height, as `decode._refine`; maps."""
    height = op.Log(heatmap)
    offsets = []
    for axis in (3, 2):
        pads = [0] * 8
        pads[axis] = pads[axis + 4] = 1
        samples = op.Pad(heatmap, pads, -1.0)
        before, after = op.Slice(samples, [0], [-2], [axis]), op.Slice(samples, [2], [sys.maxsize], [axis])
        left, right = (op.Log(op.Max(op.Div(value, heatmap), FLOOR)) for value in (before, after))
        slope, bend = op.Mul(op.Sub(right, left), 0.5), op.Add(right, left)
        inside = op.Greater(op.Min(before, after), -0.5)
        highest = op.Not(op.Greater(op.Max(left, right), 0.0))
        fits = op.And(op.And(inside, highest), op.Less(bend, 0.0))
        offset = op.Where(fits, op.Neg(op.Div(slope, bend)), 0.0)
        height = op.Add(height, op.Mul(op.Mul(offset, slope), 0.5))
        offsets.append(offset)
    return offsets, op.Exp(height)


def _add_sampling(
    op: OpBuilder, dense: ir.Value, keypoints: ir.Value, found: ir.Value, sampling: DescriptorSampling
) -> ir.Value:
    """Descriptors (B, K, D) at keypoints (B, K, 2), as `sample_descriptors`; 0 where none was found."""
    from onnxscript import ir

    cells = op.Cast(op.Gather(op.Shape(dense), [3, 2]), to=ir.DataType.FLOAT)
    extent = op.Mul(cells, float(CELL_SIZE))
    if sampling == "legacy":  # see `legacy_places`
        half = (CELL_SIZE - 1) / 2
        stretch = op.Div(op.Sub(extent, float(CELL_SIZE)), op.Sub(extent, (CELL_SIZE + 1) / 2))
        keypoints = op.Add(op.Mul(op.Sub(keypoints, half), stretch), half)
    grid = op.Sub(op.Div(op.Add(op.Mul(keypoints, 2.0), 1.0), extent), 1.0)
    grid = op.Unsqueeze(grid, [1])  # (B, 1, K, 2)
    values = op.GridSample(dense, grid, mode="bilinear", padding_mode="border", align_corners=0)
    values = op.Transpose(op.Squeeze(values, [2]), perm=[0, 2, 1])
    return op.Where(op.Unsqueeze(found, [2]), add_normalization(op, values, axis=2), 0.0)
