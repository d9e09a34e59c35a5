"""What `extract_speed.py` times: each function runs in a process of its own and returns plain values for JSON."""

from __future__ import annotations

import dataclasses
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
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
from magicpoint.measures.agreement import compare_features
from magicpoint.model.network import PointNetwork
from magicpoint.model.weights import load_weights, pretrained_names, shipped_weights
from synthetic_shapes import ShapeSettings, render_sample

PHOTOGRAPH = Path(__file__).parents[1] / "notebooks" / "images" / "cameraman.png"
KEYPOINTS, RADIUS = 1000, 4


def pictures(size: tuple[int, int]) -> list[np.ndarray]:
    """A photograph, continued by its mirror image to 480x640 and shrunk to the size; and turned: uint8 (H, W)."""
    photograph = (read_image(PHOTOGRAPH) * 255).round().astype(np.uint8)
    wide = cv2.copyMakeBorder(photograph, 0, 0, 0, 640 - photograph.shape[1], cv2.BORDER_REFLECT)
    image = cv2.resize(wide[:480], size[::-1], interpolation=cv2.INTER_AREA)
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


def operations(width: float, descriptors: bool, size: tuple[int, int]) -> int:
    """Multiplications and additions of the network's convolutions for one image."""
    model, counts = network(width, descriptors).to("meta"), []

    def count(layer: nn.Conv2d, inputs: Any, output: torch.Tensor) -> None:
        counts.append(2 * output.numel() * layer.in_channels * layer.kernel_size[0] * layer.kernel_size[1])

    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(count)
    model(torch.empty(1, 1, *size, device="meta"))
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


def agreements() -> dict[str, dict[str, Any]]:
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
            found[f"{name} {precision}, {tolerance:g} px"] = dataclasses.asdict(agreement)
    return found


@torch.no_grad()
def _plainly(model: PointNetwork, image: np.ndarray, settings: DecodeSettings) -> Features:
    output = model(as_input(image, CELL_SIZE))
    [(keypoints, scores)] = decode(logits_to_heatmap(output.logits), settings)
    descriptors = None if output.descriptors is None else sample_descriptors(output.descriptors, [keypoints])[0]
    return Features(keypoints, scores, descriptors, image.shape[::-1])


def measure(name: str, options: dict[str, Any], size: tuple[int, int], repeats: int) -> dict[str, float]:
    """Seconds of the stages, images in a second, keypoints of an image and the process's largest memory in MB."""
    if options.get("keep_memory"):
        keep_freed_memory()
    images = pictures(size)
    timed = _OPENCV[name](images, repeats) if name in _OPENCV else _networks(options, images, repeats)
    timed["memory"] = _peak_memory()
    return timed


def _networks(options: dict[str, Any], images: Sequence[np.ndarray], repeats: int) -> dict[str, float]:
    make = _plain if options.get("plain") else _extractor
    with_descriptors = make(options, images, True)
    timed = {stage: median_seconds(run, repeats, options["device"]) for stage, run in with_descriptors.items() if run}
    timed["whole without descriptors"] = median_seconds(
        make(options, images, False)["whole"], repeats, options["device"]
    )
    timed["throughput"] = len(images) / timed.pop("batch")
    timed["keypoints"] = len(with_descriptors["whole"]()[0])
    return timed


def _threshold(heatmap: torch.Tensor) -> float:
    """One at which an image has a few more than the wanted keypoints."""
    [(_, scores)] = decode(heatmap, DecodeSettings(RADIUS, 0.0))
    return float(scores[min(KEYPOINTS + 50, len(scores)) - 1])


def _settings(options: dict[str, Any], image: np.ndarray) -> DecodeSettings:
    plain = Extractor(network(options["width"], False), device="cpu")
    heatmap = plain.network(as_input(image.astype(np.float32) / 255, CELL_SIZE)).heatmap
    return DecodeSettings(RADIUS, _threshold(heatmap), max_keypoints=KEYPOINTS)


def _extractor(
    options: dict[str, Any], images: Sequence[np.ndarray], descriptors: bool
) -> dict[str, Callable[[], Any] | None]:
    extractor = Extractor(
        network(options["width"], descriptors),
        _settings(options, images[0]),
        options["device"],
        backend=options.get("backend", "torch"),
        precision=options["precision"],
    )
    image = as_input(images[0].astype(np.float32) / 255, CELL_SIZE)
    heatmap, dense = extractor.network(image)
    [(keypoints, _)] = decode(heatmap, extractor.settings)

    def whole() -> tuple[torch.Tensor, torch.Tensor | None]:
        features = extractor.extract(images[0]).to("cpu")
        return features.keypoints, features.descriptors

    return {
        "network": lambda: extractor.network(image),
        "decoding": lambda: decode(heatmap, extractor.settings),
        "sampling": None if dense is None else lambda: sample_descriptors(dense, [keypoints]),
        "whole": whole,
        "batch": lambda: [features.to("cpu") for features in extractor.extract_batch(images)],
    }


def _plain(
    options: dict[str, Any], images: Sequence[np.ndarray], descriptors: bool
) -> dict[str, Callable[[], Any] | None]:
    """The network as it was trained, eager, in float32, the suppression a loop in Python: how it is usually done."""
    device = options["device"]
    model = network(options["width"], descriptors).to(device)
    settings = _settings(options, images[0])

    @torch.no_grad()
    def run(chosen: Sequence[np.ndarray]) -> Any:
        batch = torch.from_numpy(np.stack(chosen)[:, None].astype(np.float32) / 255).to(device)
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

    def first() -> Any:
        whole(images[:1])
        return points, None

    return {
        "network": lambda: run(images[:1]),
        "decoding": lambda: find(output.logits[0]),
        "sampling": None if output.descriptors is None else lambda: describe(output.descriptors[0], points),
        "whole": first,
        "batch": lambda: whole(images),
    }


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


def _opencv(create: Callable[[], Any]) -> Callable[[Sequence[np.ndarray], int], dict[str, float]]:
    def run(images: Sequence[np.ndarray], repeats: int) -> dict[str, float]:
        method = create()
        return {
            "whole": median_seconds(lambda: method.detectAndCompute(images[0], None), repeats),
            "whole without descriptors": median_seconds(lambda: method.detect(images[0], None), repeats),
            "throughput": len(images)
            / median_seconds(lambda: [method.detectAndCompute(i, None) for i in images], repeats),
            "keypoints": len(method.detect(images[0], None)),
        }

    return run


_OPENCV = {
    "SIFT": _opencv(lambda: cv2.SIFT_create(nfeatures=KEYPOINTS, contrastThreshold=0.005)),
    "ORB": _opencv(lambda: cv2.ORB_create(nfeatures=KEYPOINTS, fastThreshold=5)),
    "AKAZE": _opencv(lambda: cv2.AKAZE_create(threshold=1e-4, max_points=KEYPOINTS)),
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
