"""How time and memory grow: with the size of an image, the number of keypoints, of images and of pairs.

    python benchmarks/growth.py --json FILE [--quick] [--weights superpoint-small]

`--quick` leaves out the largest image. The exponent is the slope between the last half of the points, in logarithms: 1
is as fast as the input. Memory is the peak of the process while a point is computed, less what it held before; Linux
alone.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from extract_variants import pictures
from figures import Figure, of, save

from magicpoint import DecodeSettings, Extractor, match_features

SIZES = ((120, 160), (240, 320), (480, 640), (960, 1280), (1920, 2560), (3000, 4000), (6000, 8000))
KEYPOINTS = (100, 300, 1000, 3000, 10_000)
IMAGES = (8, 16, 32, 64)
PAIRS = (4, 8, 16, 32)

Points = dict[float, tuple[float, float]]
"""By the size of the input, seconds and megabytes."""


def megabytes(name: str) -> float:
    """A line of the process's status; NaN where there is none."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:"))
    return math.nan


def measured(run: Callable[[], Any], repeats: int) -> tuple[float, float]:
    """The least seconds of a call, after one that is not counted, and the megabytes of its peak."""
    run()
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before, seconds = megabytes("VmRSS"), []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return min(seconds), max(0.0, megabytes("VmHWM") - before)


def curves(weights: str, quick: bool) -> Iterator[tuple[str, Points]]:
    """By what grows, its points."""
    image = pictures((480, 640))[0]
    extractor = Extractor.load(weights, DecodeSettings(max_keypoints=1000), "cpu")
    points: Points = {}
    for height, width in SIZES[:-1] if quick else SIZES:
        large = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
        pixels = height * width
        points[pixels] = measured(lambda large=large: extractor.extract(large), max(1, min(5, 2_000_000 // pixels)))
    yield "pixels of an image", points

    fine = np.random.default_rng(0).integers(0, 256, (960, 1280), np.uint8)
    many = {
        count: Extractor.load(weights, DecodeSettings(nms_radius=2, threshold=0, max_keypoints=count), "cpu")
        for count in KEYPOINTS
    }
    yield "keypoints of an image of 960x1280", {n: measured(lambda n=n: many[n].extract(fine), 3) for n in many}
    features = {n: (many[n].extract(fine), many[n].extract(fine[::-1].copy())) for n in many}
    yield (
        "keypoints of each of two images that are matched",
        {len(pair[0]): measured(lambda pair=pair: match_features(*pair), 3) for pair in features.values()},
    )
    small = cv2.resize(image, (320, 240))
    yield "images", {n: measured(lambda n=n: extractor.extract_batch([small] * n), 2) for n in IMAGES}
    first, second = features[1000]
    yield "pairs", {n: measured(lambda n=n: [match_features(first, second) for _ in range(n)], 2) for n in PAIRS}


def exponent(points: Points) -> float:
    """The slope of time against input between the last half of the points, in logarithms."""
    inputs = sorted(points)
    first, last = inputs[len(inputs) // 2], inputs[-1]
    return math.log(points[last][0] / points[first][0]) / math.log(last / first)


def draw(found: dict[str, Points], path: Path) -> None:
    from matplotlib.figure import Figure as Drawing

    drawing = Drawing((4 * len(found), 6), layout="constrained")
    axes = drawing.subplots(2, len(found), squeeze=False)
    for column, (name, points) in enumerate(found.items()):
        inputs = sorted(points)
        for row, label in enumerate(("seconds", "MB")):
            ax = axes[row][column]
            ax.loglog(inputs, [max(points[size][row], 1e-6 if row == 0 else 1.0) for size in inputs], "o-")
            ax.set_xlabel(name)
            ax.set_ylabel(label)
            ax.grid(alpha=0.3)
        first = inputs[len(inputs) // 2]
        straight = [points[first][0] * size / first for size in inputs]
        axes[0][column].loglog(inputs, straight, "k:", label="as fast as the input")
        axes[0][column].legend()
    drawing.savefig(path, dpi=80)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--weights", default="superpoint-small")
    arguments = parser.parse_args()
    found = dict(curves(arguments.weights, arguments.quick))
    figures: dict[str, Figure] = {}
    for name, points in found.items():
        print(f"\n| {name} | seconds | MB |\n|---|---|---|")
        for size, (seconds, memory) in points.items():
            print(f"| {size:,.0f} | {seconds:.4f} | {memory:.0f} |")
            figures[f"{name}: {size:,.0f}"] = of([1000 * seconds], "ms")
        print(f"\nTime grows with the power {exponent(points):.2f} of the {name}.")
    save(arguments.json, figures, exponents={name: exponent(points) for name, points in found.items()})
    draw(found, arguments.json.with_suffix(".png"))


if __name__ == "__main__":
    main()
