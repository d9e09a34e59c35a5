"""Everything from the image to keypoints as an ONNX graph, with outputs of a fixed size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..core.grid import CELL_SIZE
from ..decoding.decode import FLOOR, LARGEST_RISE, ROUNDING, DecodeSettings
from ..model.network import PointNetwork
from .dense import INPUT, add_network, describe
from .graph import Graph, Shape

if TYPE_CHECKING:
    from onnx import ModelProto

DEFAULT_MAX_KEYPOINTS = 1024


def keypoint_graph(model: PointNetwork, settings: DecodeSettings | None = None) -> ModelProto:
    """The graph from the image to padded keypoints, see `export_model`."""
    settings = settings or DecodeSettings()
    count = settings.max_keypoints or DEFAULT_MAX_KEYPOINTS
    graph = Graph()
    padded, height, width = add_padding(graph, "image", CELL_SIZE)
    heatmap, dense = add_network(graph, model, padded)
    decoded = add_decoding(graph, crop(graph, heatmap, height, width), dense, settings, count)
    sizes: dict[str, Shape] = {
        "keypoints": ("float", ["batch", count, 2]),
        "scores": ("float", ["batch", count]),
        "descriptors": ("float", ["batch", count, model.settings.descriptor_dim]),
        "count": ("int64", ["batch"]),
    }
    for output, value in decoded.items():
        graph.name(value, output)
    return graph.finish(INPUT, {output: sizes[output] for output in decoded}, describe(model, "keypoints"))


def add_padding(graph: Graph, image: str, multiple: int) -> tuple[str, str, str]:
    """An image (B, 1, H, W) with its last row and column repeated up to the next multiple; H and W, int64 (1,)."""
    shape = graph("Shape", image)
    size = graph("Slice", shape, graph.whole(2), graph.whole(4))
    missing = graph("Mod", graph("Neg", size), graph.whole(multiple))  # the sign of the divisor: 0 to multiple - 1
    pads = graph("Concat", graph.whole(0, 0, 0, 0, 0, 0), missing, axis=0)
    height, width = (graph("Slice", shape, graph.whole(i), graph.whole(i + 1)) for i in (2, 3))
    return graph("Pad", image, pads, mode="edge"), height, width


def crop(graph: Graph, value: str, height: str, width: str) -> str:
    """The first rows and columns of a map (B, 1, H', W')."""
    return str(graph("Slice", value, graph.whole(0, 0), graph("Concat", height, width, axis=0), graph.whole(2, 3)))


def add_decoding(graph: Graph, heatmap: str, dense: str | None, settings: DecodeSettings, count: int) -> dict[str, str]:
    """Outputs by name, see `onnx.export_model`, of a heatmap (B, 1, H, W) and a padded image's dense descriptors."""
    lowest = settings.threshold / LARGEST_RISE * (1 - ROUNDING) if settings.subpixel else settings.threshold
    peaks = _add_suppression(graph, heatmap, settings.nms_radius, lowest)
    places = graph("NonZero", peaks)  # (4, N): image, 0, row, column
    image, row, column = (graph("Gather", places, graph.tensor(np.int64(i)), axis=0) for i in (0, 2, 3))
    points, scores = _add_refinement(graph, heatmap, image, row, column, settings.subpixel)
    shape = graph("Shape", heatmap)
    batch, height, width = (graph("Slice", shape, graph.whole(i), graph.whole(i + 1)) for i in (0, 2, 3))
    good = graph("Greater", scores, graph.number(settings.threshold))
    for place, size in ((row, height), (column, width)):
        good = graph("And", good, graph("GreaterOrEqual", place, graph.whole(settings.border)))
        good = graph("And", good, graph("Less", place, graph("Sub", size, graph.whole(settings.border))))
    scores = graph("Where", good, scores, graph.number(0.0))
    place = graph("Add", graph("Mul", row, width), column)
    best, numbers = _add_choice(graph, batch, graph("Mul", height, width), image, place, scores, count)
    found = graph("Greater", best, graph.number(0.0))
    points = graph("Concat", graph.tensor(np.zeros((1, 2), np.float32)), points, axis=0)
    keypoints = graph("Gather", points, graph("Where", found, numbers, graph.tensor(np.int64(0))), axis=0)

    outputs = {"keypoints": keypoints, "scores": best}
    if dense is not None:
        outputs["descriptors"] = _add_sampling(graph, dense, keypoints, found)
    outputs["count"] = graph("ReduceSum", graph("Cast", found, to=_INT64), graph.whole(1), keepdims=0)
    return outputs


def _add_choice(
    graph: Graph, batch: str, pixels: str, image: str, place: str, scores: str, count: int
) -> tuple[str, str]:
    """The scores (B, K) of each image's best peaks, 0 where there are no more, and the peaks' numbers from 1 on.

    A map of the scores gives the best of each image, equal ones in raster order; a map of numbers tells which peaks
    these are. Each has K zeros more, so that an image of less than K pixels has K best.
    """
    rows = graph("Concat", batch, graph.whole(-1), axis=0)
    spare = graph("Concat", batch, graph.whole(count), axis=0)
    all_pixels = graph("Mul", batch, pixels)
    flat = graph("Add", graph("Mul", image, pixels), place)

    def scattered(values: str, empty: np.generic) -> str:
        zeros = _value(empty)
        values = graph("ScatterElements", graph("ConstantOfShape", all_pixels, value=zeros), flat, values, axis=0)
        more = graph("ConstantOfShape", spare, value=zeros)
        return str(graph("Concat", graph("Reshape", values, rows), more, axis=1))

    length = graph("Squeeze", graph("Shape", flat), graph.whole(0))
    one = graph.tensor(np.int64(1))
    numbers = graph("Range", one, graph("Add", length, one), one)
    best, chosen = graph("TopK", scattered(scores, np.float32(0)), graph.whole(count), outputs=2, axis=1)
    return best, graph("GatherElements", scattered(numbers, np.int64(0)), chosen, axis=1)


_FLOAT, _INT64 = 1, 7  # TensorProto.DataType


def _value(value: np.generic) -> object:
    from onnx import numpy_helper

    return numpy_helper.from_array(np.array([value]))


def _add_suppression(graph: Graph, heatmap: str, radius: int, threshold: float) -> str:
    """The peaks, bool (B, 1, H, W): rounds of max-pooling until none is left, as `decoding.nms._peaks_by_pooling`."""
    above = graph("Greater", heatmap, graph.number(threshold))
    if radius == 0:
        return str(above)
    around = graph("MaxPool", heatmap, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    candidates = graph("And", above, graph("GreaterOrEqual", heatmap, around))
    left_over = graph("Where", candidates, heatmap, graph.number(0.0))
    none = graph("Less", heatmap, graph.number(-1.0))
    always = graph.tensor(np.array(True))
    maps: list[str | int] = ["batch", 1, "height", "width"]
    body = _round_of_suppression(radius).as_body(
        {"round": ("int64", []), "go_on": ("bool", []), "left": ("float", maps), "kept": ("bool", maps)},
        {"round_again": ("bool", []), "round_left": ("float", maps), "round_kept": ("bool", maps)},
    )
    _, peaks = graph("Loop", "", always, left_over, none, outputs=2, body=body)
    return str(peaks)


def _round_of_suppression(radius: int) -> Graph:
    """Keeps the candidates that are visited before all others of their square, and drops those that they suppress."""
    body = Graph("round_")
    side = 2 * radius + 1
    rows = body("MaxPool", "left", kernel_shape=[1, side], pads=[0, radius, 0, radius])
    square = body("MaxPool", rows, kernel_shape=[side, 1], pads=[radius, 0, radius, 0])
    first = body("And", body("Greater", "left", body.number(0.0)), body("Equal", "left", square))
    for values, axis in ((rows, 2), ("left", 3)):
        # Windows that end at their pixel, shifted by one to end just before it.
        pads, kernel, shift = [0] * 4, [1, 1], [0] * 8
        pads[axis - 2], kernel[axis - 2], shift[axis] = radius - 1, radius, 1
        windows = body("Pad", body("MaxPool", values, kernel_shape=kernel, pads=pads), body.whole(*shift))
        before = body("Slice", windows, body.whole(0), body.whole(-1), body.whole(axis))
        first = body("And", first, body("Greater", "left", before))
    body.name(body("Or", "kept", first), "round_kept")
    marks = body("Cast", first, to=_FLOAT)
    marks = body("MaxPool", marks, kernel_shape=[1, side], pads=[0, radius, 0, radius])
    marks = body("MaxPool", marks, kernel_shape=[side, 1], pads=[radius, 0, radius, 0])
    left_over = body("Where", body("Greater", marks, body.number(0.0)), body.number(0.0), "left")
    body.name(left_over, "round_left")
    body.name(body("Greater", body("ReduceMax", left_over, keepdims=0), body.number(0.0)), "round_again")
    return body


def _add_refinement(graph: Graph, heatmap: str, image: str, row: str, column: str, subpixel: bool) -> tuple[str, str]:
    """Points (N, 2) as (x, y) and scores (N,) of peaks (N,), as `decode._refine`."""
    one = graph.whole(1)
    samples = graph("Pad", heatmap, graph.whole(0, 0, 1, 1, 0, 0, 1, 1), graph.number(-1.0))
    shape = graph("Shape", samples)
    padded_height, stride = (graph("Slice", shape, graph.whole(i), graph.whole(i + 1)) for i in (2, 3))
    places = graph("Add", graph("Mul", image, padded_height), graph("Add", row, one))
    places = graph("Add", graph("Mul", places, stride), graph("Add", column, one))
    samples = graph("Reshape", samples, graph.whole(-1))
    peak = graph("Gather", samples, places)
    pixels = [graph("Cast", pixel, to=_FLOAT) for pixel in (column, row)]
    if not subpixel:
        return _columns(graph, pixels), graph("Min", peak, graph.number(1.0))
    height = graph("Log", peak)
    moved = []
    for pixel, step in zip(pixels, (one, stride), strict=True):
        before, after = (graph("Gather", samples, graph(way, places, step)) for way in ("Sub", "Add"))
        left, right = (graph("Log", _ratio(graph, value, peak)) for value in (before, after))
        slope = graph("Mul", graph("Sub", right, left), graph.number(0.5))
        bend = graph("Add", right, left)
        fits = graph("Less", bend, graph.number(0.0))
        for value, operator in ((before, "GreaterOrEqual"), (after, "GreaterOrEqual")):
            fits = graph("And", fits, graph(operator, value, graph.number(0.0)))
        for value in (left, right):
            fits = graph("And", fits, graph("LessOrEqual", value, graph.number(0.0)))
        offset = graph("Where", fits, graph("Neg", graph("Div", slope, bend)), graph.number(0.0))
        height = graph("Add", height, graph("Mul", graph("Mul", offset, slope), graph.number(0.5)))
        moved.append(graph("Add", pixel, offset))
    return _columns(graph, moved), graph("Min", graph("Exp", height), graph.number(1.0))


def _columns(graph: Graph, values: list[str]) -> str:
    return str(graph("Concat", *(graph("Unsqueeze", column, graph.whole(1)) for column in values), axis=1))


def _ratio(graph: Graph, value: str, peak: str) -> str:
    return str(graph("Max", graph("Div", value, peak), graph.number(FLOOR)))


def _add_sampling(graph: Graph, dense: str, keypoints: str, found: str) -> str:
    """Descriptors (B, K, D) at keypoints (B, K, 2), as `sample_descriptors`; 0 where none was found."""
    shape = graph("Shape", dense)
    cells = graph("Gather", shape, graph.whole(3, 2))
    extent = graph("Mul", graph("Cast", cells, to=_FLOAT), graph.number(CELL_SIZE))
    doubled = graph("Add", graph("Mul", keypoints, graph.number(2.0)), graph.number(1.0))
    grid = graph("Sub", graph("Div", doubled, extent), graph.number(1.0))
    grid = graph("Unsqueeze", grid, graph.whole(1))  # (B, 1, K, 2)
    values = graph("GridSample", dense, grid, mode="bilinear", padding_mode="border", align_corners=0)
    values = graph("Transpose", graph("Squeeze", values, graph.whole(2)), perm=[0, 2, 1])
    descriptors = graph("LpNormalization", values, axis=2, p=2)
    return str(graph("Where", graph("Unsqueeze", found, graph.whole(2)), descriptors, graph.number(0.0)))
