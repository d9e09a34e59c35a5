"""What `extract_speed.py` times; `measure`, `peaks` and `agreements` are each for a process of its own."""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from timing import Timing, Variant
from torch import nn
from torch.nn import functional as F

from magicpoint import DecodeSettings, Extractor, MagicPoint, SuperPoint
from magicpoint.core.grid import CELL_SIZE
from magicpoint.core.machine import keep_freed_memory
from magicpoint.core.types import Features
from magicpoint.decoding.decode import decode, logits_to_heatmap
from magicpoint.decoding.descriptors import sample_descriptors
from magicpoint.inference.extractor import as_input
from magicpoint.io.images import read_image
from magicpoint.measures.agreement import Agreement, compare_features
from magicpoint.model.network import PointNetwork
from magicpoint.model.weights import load_weights, pretrained_names, shipped_weights
from synthetic_shapes import ShapeSettings, render_sample

PHOTOGRAPH = Path(__file__).parents[1] / "notebooks" / "images" / "cameraman.png"
KEYPOINTS, RADIUS = 1000, 4


@dataclass(frozen=True)
class Calls:
    """What is timed of a variant: the stages and the whole of one image, and all images; and how many it finds."""

    network: Callable[[], Any]
    decoding: Callable[[], Any]
    sampling: Callable[[], Any] | None
    whole: Callable[[], Any]
    batch: Callable[[], Any]
    keypoints: int


def pictures(size_hw: tuple[int, int]) -> list[np.ndarray]:
    """A photograph, continued by its mirror image to 480x640 and shrunk to the size; and turned: uint8 (H, W)."""
    photograph = (read_image(PHOTOGRAPH) * 255).round().astype(np.uint8)
    wide = cv2.copyMakeBorder(photograph, 0, 0, 0, 640 - photograph.shape[1], cv2.BORDER_REFLECT)
    image = cv2.resize(wide[:480], size_hw[::-1], interpolation=cv2.INTER_AREA)
    return [image, image[::-1].copy(), image[:, ::-1].copy(), image[::-1, ::-1].copy()]


def network(width: float, descriptors: bool) -> PointNetwork:
    """Random weights, with peaks that stand out; the same detector with descriptors and without."""
    torch.manual_seed(0)
    detector = MagicPoint(width).eval()
    last = detector.detector.layers[-1]
    with torch.no_grad():
        last.bias.zero_()
        last.weight.mul_(2 / detector(as_input(pictures((480, 640))[0].astype(np.float32) / 255, 8)).logits.std())
    if not descriptors:
        return detector
    model = SuperPoint(width).eval()
    model.load_state_dict(detector.state_dict(), strict=False)
    return model


def operations(width: float, descriptors: bool, size_hw: tuple[int, int]) -> int:
    """Multiplications and additions of the network's convolutions for one image."""
    model, counts = network(width, descriptors).to("meta"), []

    def count(layer: nn.Conv2d, inputs: Any, output: torch.Tensor) -> None:
        counts.append(2 * output.numel() * layer.in_channels * layer.kernel_size[0] * layer.kernel_size[1])

    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(count)
    model(torch.empty(1, 1, *size_hw, device="meta"))
    return sum(counts)


def peaks() -> dict[str, float]:
    """Operations in a second of matrix products as large as the network's, by number format."""
    keep_freed_memory()
    found: dict[str, float] = {}
    rows, side = 4096, 2048
    for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        # torch gives products and 1x1 convolutions to different libraries: the faster counts.
        left, right = torch.rand(rows, side, dtype=dtype), torch.rand(side, side, dtype=dtype)
        image = left.reshape(1, 64, 64, side).permute(0, 3, 1, 2)
        kernel = right[:, :, None, None]
        product = median_seconds(lambda a=left, b=right: a @ b, 7)
        convolution = median_seconds(lambda a=image, b=kernel: F.conv2d(a, b), 7)
        found[name] = 2 * rows * side * side / min(product, convolution)
    left8, right8 = (torch.randint(-127, 128, (length, side)).to(torch.int8) for length in (rows, side))
    found["int8"] = 2 * rows * side * side / median_seconds(lambda: torch._int_mm(left8, right8.t()), 7)
    return found


def agreements() -> dict[str, Agreement]:
    """What of the plain network's keypoints each precision finds, with shipped weights on photograph and renders."""
    images = [picture.astype(np.float32) / 255 for picture in pictures((240, 320))]
    images += [render_sample(7, i, ShapeSettings((240, 320)), "test")[0].astype(np.float32) / 255 for i in range(9)]
    settings = DecodeSettings(RADIUS, max_keypoints=KEYPOINTS)
    found = {}
    for name in pretrained_names():
        model, _ = load_weights(shipped_weights(name).path)
        reference = [_plainly(model, image, settings) for image in images]
        for precision in ("float32", "bfloat16", "int8"):
            extractor = Extractor(model, settings, "cpu", precision=precision)
            tolerance = 0.01 if precision == "float32" else 1.0
            agreement = compare_features(reference, extractor.extract_batch(images), tolerance)
            found[f"{name} {precision}, {tolerance:g} px"] = agreement
    return found


@torch.no_grad()
def _plainly(model: PointNetwork, image: np.ndarray, settings: DecodeSettings) -> Features:
    output = model(as_input(image, CELL_SIZE))
    [(keypoints, scores)] = decode(logits_to_heatmap(output.logits), settings)
    descriptors = None if output.descriptors is None else sample_descriptors(output.descriptors, [keypoints])[0]
    return Features(keypoints, scores, descriptors, image.shape[::-1])


def measure(variant: Variant, sizes_hw: Sequence[tuple[int, int]], repeats: int) -> list[Timing]:
    """How fast a network is in this process, on images of each size, one after the other."""
    if variant.keep_memory:
        keep_freed_memory()
    return [_measure_size(variant, size_hw, repeats) for size_hw in sizes_hw]


def _measure_size(variant: Variant, size_hw: tuple[int, int], repeats: int) -> Timing:
    images, seconds = pictures(size_hw), partial(median_seconds, repeats=repeats, device=variant.device)
    make = _plain if variant.plain else _extractor
    calls, without = make(variant, images, True), make(variant, images, False)
    return Timing(
        network=seconds(calls.network),
        decoding=seconds(calls.decoding),
        sampling=None if calls.sampling is None else seconds(calls.sampling),
        whole=seconds(calls.whole),
        whole_without_descriptors=seconds(without.whole),
        images_per_second=len(images) / seconds(calls.batch),
        keypoints=calls.keypoints,
        megabytes=_peak_memory(),
    )


def measure_opencv(name: str, sizes_hw: Sequence[tuple[int, int]], repeats: int) -> list[Timing]:
    """How fast one of `OPENCV` is in this process, on images of each size, one after the other."""
    return [_measure_opencv_size(name, size_hw, repeats) for size_hw in sizes_hw]


def _measure_opencv_size(name: str, size_hw: tuple[int, int], repeats: int) -> Timing:
    images, method, seconds = pictures(size_hw), _OPENCV[name](), partial(median_seconds, repeats=repeats)
    return Timing(
        whole=seconds(lambda: method.detectAndCompute(images[0], None)),
        whole_without_descriptors=seconds(lambda: method.detect(images[0], None)),
        images_per_second=len(images) / seconds(lambda: [method.detectAndCompute(image, None) for image in images]),
        keypoints=len(method.detect(images[0], None)),
        megabytes=_peak_memory(),
    )


def _threshold(heatmap: torch.Tensor) -> float:
    """One at which an image has a few more than the wanted keypoints."""
    [(_, scores)] = decode(heatmap, DecodeSettings(RADIUS, 0.0))
    return float(scores[min(KEYPOINTS + 50, len(scores)) - 1])


def _settings(variant: Variant, image: np.ndarray) -> DecodeSettings:
    plain = Extractor(network(variant.width, False), device="cpu")
    heatmap = plain.network(as_input(image.astype(np.float32) / 255, CELL_SIZE)).heatmap
    return DecodeSettings(RADIUS, _threshold(heatmap), max_keypoints=KEYPOINTS)


def _extractor(variant: Variant, images: Sequence[np.ndarray], descriptors: bool) -> Calls:
    extractor = Extractor(
        network(variant.width, descriptors),
        _settings(variant, images[0]),
        variant.device,
        backend=variant.backend,
        precision=variant.precision,
    )
    image = as_input(images[0].astype(np.float32) / 255, CELL_SIZE)
    heatmap, dense = extractor.network(image)
    [(keypoints, _)] = decode(heatmap, extractor.settings)
    return Calls(
        network=lambda: extractor.network(image),
        decoding=lambda: decode(heatmap, extractor.settings),
        sampling=None if dense is None else lambda: sample_descriptors(dense, [keypoints]),
        whole=lambda: extractor.extract(images[0]).to("cpu"),
        batch=lambda: [features.to("cpu") for features in extractor.extract_batch(images)],
        keypoints=len(extractor.extract(images[0])),
    )


def _plain(variant: Variant, images: Sequence[np.ndarray], descriptors: bool) -> Calls:
    """The network as it was trained, eager, in float32, the suppression a loop in Python: how it is usually done."""
    model = network(variant.width, descriptors).to(variant.device)
    settings = _settings(variant, images[0])

    @torch.no_grad()
    def run(chosen: Sequence[np.ndarray]) -> Any:
        batch = torch.from_numpy(np.stack(chosen)[:, None].astype(np.float32) / 255).to(variant.device)
        return model(batch)

    def find(logits: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        shares = logits.softmax(0)[:-1].cpu().numpy()
        cells = shares.reshape(CELL_SIZE, CELL_SIZE, *shares.shape[1:])
        heatmap = cells.transpose(2, 0, 3, 1).reshape(shares.shape[1] * CELL_SIZE, -1)
        return _suppress_in_python(heatmap, settings)

    def describe(dense: torch.Tensor, points: np.ndarray) -> np.ndarray:
        return sample_descriptors(dense[None], [torch.from_numpy(points)])[0].cpu().numpy()

    def whole(chosen: Sequence[np.ndarray]) -> Any:
        output = run(chosen)
        found = [find(logits)[0] for logits in output.logits]
        if output.descriptors is None:
            return found
        return found, [describe(dense, points) for dense, points in zip(output.descriptors, found, strict=True)]

    output = run(images[:1])
    points = find(output.logits[0])[0]
    return Calls(
        network=lambda: run(images[:1]),
        decoding=lambda: find(output.logits[0]),
        sampling=None if output.descriptors is None else lambda: describe(output.descriptors[0], points),
        whole=lambda: whole(images[:1]),
        batch=lambda: whole(images),
        keypoints=len(points),
    )


def _suppress_in_python(heatmap: np.ndarray, settings: DecodeSettings) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.nonzero(heatmap > settings.threshold)
    scores = heatmap[rows, columns]
    order = np.argsort(-scores)
    covered = np.zeros((heatmap.shape[0] + 2 * RADIUS, heatmap.shape[1] + 2 * RADIUS), bool)
    kept = []
    for i in order:
        row, column = rows[i], columns[i]
        if not covered[row + RADIUS, column + RADIUS]:
            covered[row : row + 2 * RADIUS + 1, column : column + 2 * RADIUS + 1] = True
            kept.append(i)
    kept = kept[: settings.max_keypoints]
    return np.stack((columns[kept], rows[kept]), 1).astype(np.float32), scores[kept]


_OPENCV: dict[str, Callable[[], Any]] = {
    "SIFT": lambda: cv2.SIFT_create(nfeatures=KEYPOINTS, contrastThreshold=0.005),
    "ORB": lambda: cv2.ORB_create(nfeatures=KEYPOINTS, fastThreshold=5),
    "AKAZE": lambda: cv2.AKAZE_create(threshold=1e-4, max_points=KEYPOINTS),
}

OPENCV = [name for name in _OPENCV if hasattr(cv2, f"{name}_create")]
"""The classical methods that this OpenCV has."""


def median_seconds(run: Callable[[], Any], repeats: int, device: str = "cpu") -> float:
    """Seconds of a call, after two that are not counted."""
    synchronize: Callable[[], object] = torch.cuda.synchronize if device == "cuda" else lambda: None
    times = []
    for _ in range(repeats + 2):
        synchronize()
        start = time.perf_counter()
        run()
        synchronize()
        times.append(time.perf_counter() - start)
    return statistics.median(times[2:])


def _peak_memory() -> float:
    if os.name == "nt":
        return float("nan")
    import resource

    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest / (2**20 if sys.platform == "darwin" else 2**10)
