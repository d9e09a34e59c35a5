"""What a user gets who types the README's example, beside the plain network alone and other methods, in turns.

    python benchmarks/first_call.py --json FILE [--rounds 10] [--device cuda]

An image of 480x640, at most 1000 keypoints. The plain float32 network is that of full width as it was trained, without
decoding. XFeat and ALIKED have a row where `accelerated_features` (as `modules.xfeat`) or `lightglue` can be imported;
they load weights of their own. With `--device cuda` the network alone runs on the GPU: batches of 1 and 16, float32,
float16 with channels last, and that as a CUDA graph. These rows have been written without a GPU at hand.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from extract_variants import KEYPOINTS, median_seconds, operations, peaks, pictures
from figures import Figure, save, taken_in_turns

from magicpoint import DecodeSettings, Extractor, QuadDetector
from magicpoint.core.errors import MagicpointError
from magicpoint.core.switches import HEATMAP_SWITCHES
from magicpoint.inference.backends import open_network
from magicpoint.model.fold import fold_batch_norm
from magicpoint.model.weights import load_weights, shipped_weights

PLAIN = "plain float32 network alone, full width"
WIDTHS = {"superpoint": 1.0, "superpoint-small": 0.5, "superpoint-tiny": 0.25}
PRECISIONS = ("float32", "bfloat16", "int8")
SIZE_HW = (480, 640)


def calls_on_cpu(image: np.ndarray) -> dict[str, Callable[[], Any]]:
    """By name, whole calls with descriptors; what cannot run here is said and left out."""
    model, _ = load_weights(shipped_weights("superpoint").path)
    model.eval()
    grey = torch.from_numpy(image.astype(np.float32) / 255)[None, None]

    def plain() -> None:
        with torch.no_grad():
            model(grey)

    calls: dict[str, Callable[[], Any]] = {PLAIN: plain}
    settings = DecodeSettings(max_keypoints=KEYPOINTS)
    for name in WIDTHS:
        for precision in PRECISIONS:
            try:
                extractor = Extractor.load(name, settings, "cpu", precision=precision)
            except MagicpointError as error:
                print(f"{name} in {precision}: {error}", file=sys.stderr)
                continue
            calls[f"{name}, {precision}"] = lambda extractor=extractor: extractor.extract(image)
            for switch in HEATMAP_SWITCHES:
                other = Extractor.load(name, settings, "cpu", precision=precision, **{switch: True})
                calls[f"{name}, {precision}, {switch}"] = lambda extractor=other: extractor.extract(image)
    detector = QuadDetector.from_pretrained("quads", device="cpu")
    calls["quads, float32, a detector of quadrilaterals"] = lambda: detector.detect(image)
    sift, orb = cv2.SIFT_create(nfeatures=KEYPOINTS), cv2.ORB_create(nfeatures=KEYPOINTS, fastThreshold=5)
    calls["SIFT"] = lambda: sift.detectAndCompute(image, None)
    calls["ORB"] = lambda: orb.detectAndCompute(image, None)
    return {**calls, **learned_elsewhere(image)}


def learned_elsewhere(image: np.ndarray) -> dict[str, Callable[[], Any]]:
    """Other networks whose packages are installed; one that cannot be opened is said and left out."""
    colours = torch.from_numpy(np.repeat(image[None, None], 3, 1).astype(np.float32) / 255)

    def xfeat() -> Callable[[], Any]:
        from modules.xfeat import XFeat

        network = XFeat(top_k=KEYPOINTS)
        return lambda: network.detectAndCompute(colours, top_k=KEYPOINTS)

    def aliked() -> Callable[[], Any]:
        from lightglue import ALIKED

        network = ALIKED(max_num_keypoints=KEYPOINTS).eval()
        return torch.no_grad()(lambda: network({"image": colours}))

    found = {}
    for name, make in (("XFeat", xfeat), ("ALIKED", aliked)):
        try:
            found[name] = make()
        except ImportError as error:
            print(f"{name}: {error}", file=sys.stderr)
        except Exception as error:  # of a package of others, whose weights may be out of reach
            print(f"{name} cannot be opened: {error}", file=sys.stderr)
    return found


def calls_on_cuda(image: np.ndarray) -> dict[str, Callable[[], Any]]:
    """The network alone, full width; what cannot run here is said and left out."""
    model, _ = load_weights(shipped_weights("superpoint").path)
    model.eval().cuda()
    half = fold_batch_norm(model).half().to(memory_format=torch.channels_last)
    calls = {}
    for batch in (1, 16):
        grey = torch.from_numpy(image.astype(np.float32) / 255)[None, None].cuda().repeat(batch, 1, 1, 1)
        small = grey.half().to(memory_format=torch.channels_last)
        rows = {
            "float32": lambda grey=grey: model(grey),
            "float16, channels last": lambda small=small: half(small),
            "float16, channels last, CUDA graph": captured(half, small),
        }
        for name, run in rows.items():

            @torch.inference_mode()
            def timed(run: Callable[[], Any] = run) -> None:
                run()
                torch.cuda.synchronize()

            calls[f"CUDA, batch {batch}, {name}"] = timed
    return calls


def captured(model: torch.nn.Module, image: torch.Tensor) -> Callable[[], Any]:
    """The network on this very tensor, as one CUDA graph."""
    with torch.inference_mode():
        side = torch.cuda.Stream()
        with torch.cuda.stream(side):
            for _ in range(3):
                model(image)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            model(image)
    return graph.replay


def shares(found: dict[str, float], image: np.ndarray) -> dict[str, dict[str, float]]:
    """By network and number format, the share of the matrix peak that the network alone reaches."""
    grey = torch.from_numpy(image.astype(np.float32) / 255)[None, None]
    reached: dict[str, dict[str, float]] = {}
    for name, width in WIDTHS.items():
        model, _ = load_weights(shipped_weights(name).path)
        for precision in PRECISIONS:
            try:
                network = open_network(model, torch.device("cpu"), precision=precision)
            except MagicpointError:
                continue
            seconds = median_seconds(lambda network=network: network(grey), 5)
            reached.setdefault(name, {})[precision] = operations(width, True, SIZE_HW) / seconds / found[precision]
    return reached


def ratios(figures: dict[str, Figure]) -> dict[str, float]:
    """How many times faster than the plain network alone each row is."""
    return {name: figures[PLAIN].value / figure.value for name, figure in figures.items() if PLAIN in figures}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    image, began = pictures(SIZE_HW)[0], time.monotonic()
    figures = taken_in_turns(calls_on_cpu(image), arguments.rounds)
    if arguments.device == "cuda":
        figures |= taken_in_turns(calls_on_cuda(image), arguments.rounds)
    peak = peaks()
    share = shares(peak, image)
    faster = ratios(figures)
    print(
        "| 480x640, 1000 keypoints, a whole call | median | least | times the plain network alone |\n|---|---|---|---|"
    )
    for name, figure in figures.items():
        print(f"| {name} | {figure.value:.1f} ms | {figure.low:.1f} ms | {faster[name]:.1f} |")
    gops = ", ".join(f"{name} {value / 1e9:.0f}" for name, value in peak.items())
    print(f"\nMatrix products reach, in Gop/s: {gops}. Of that the networks alone reach:\n")
    print("| | float32 | bfloat16 | int8 |\n|---|---|---|---|")
    for name, row in share.items():
        cells = " | ".join(f"{row[precision]:.0%}" if precision in row else "" for precision in PRECISIONS)
        print(f"| {name} | {cells} |")
    save(arguments.json, figures, peaks=peak, shares=share, seconds=time.monotonic() - began)


if __name__ == "__main__":
    main()
