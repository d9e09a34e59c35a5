"""Labels per hour of homographic adaptation, against one plain forward over all views of an image at once.

    python benchmarks/adaptation_speed.py [--width 1.0] [--views 100] [--rounds 2] [--json FILE]

The plain forward is what the known loops spend: the full network, descriptors included, float32 eager with its
BatchNorm, on a batch of all views; no warp is counted. The other variants are whole adaptations, from the image to its
labels, each with one thing more than the one before. Every variant runs in a process of its own, since the allocator's
setting concerns the whole process, and the variants take turns, so that a change of the machine's speed meets all.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from variants import run_apart

from magicpoint.core.plain import json_text

PLAIN = "plain forward over all views"
VARIANTS = {
    PLAIN: ["plain"],
    "adaptation": [],
    "adaptation, memory kept": ["keep_memory"],
    "adaptation, memory kept, bfloat16": ["keep_memory", "bfloat16"],
}
HEIGHT, WIDTH = 240, 320


def measure(width: float, views: int, options: list[str]) -> float:
    """Seconds of one image in this process, after a warm-up on a few views."""
    if "keep_memory" in options:
        from magicpoint.core.machine import keep_freed_memory

        keep_freed_memory()
    import numpy as np
    import torch

    from magicpoint.adaptation.labeller import Labeller
    from magicpoint.adaptation.settings import AdaptationSettings
    from magicpoint.inference.extractor import Extractor
    from magicpoint.model.network import SuperPoint

    torch.manual_seed(0)
    model = SuperPoint(width).eval()
    image = np.random.default_rng(0).random((HEIGHT, WIDTH), np.float32)
    if "plain" in options:
        batch = torch.from_numpy(image).expand(views, 1, HEIGHT, WIDTH).contiguous()
        with torch.inference_mode():
            model(batch[:4])
            start = time.perf_counter()
            model(batch)
            return time.perf_counter() - start
    precision = "bfloat16" if "bfloat16" in options else "float32"
    extractor = Extractor(model, device="cpu")
    Labeller(extractor, AdaptationSettings(count=8, precision=precision)).label(image, "warm-up")  # type: ignore[arg-type]
    labeller = Labeller(extractor, AdaptationSettings(count=views, precision=precision))  # type: ignore[arg-type]
    start = time.perf_counter()
    labeller.label(image, "image")
    return time.perf_counter() - start


@dataclass(frozen=True)
class Cost:
    """Seconds of one image, and how many times that the plain forward takes."""

    seconds: float
    ratio: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--views", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    import torch

    from magicpoint.core.machine import resolve_precision

    supported = resolve_precision("auto", torch.device("cpu")) == "bfloat16"
    variants = {name: options for name, options in VARIANTS.items() if supported or "bfloat16" not in options}
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(arguments.rounds):
        for name, options in variants.items():
            spent = run_apart(name, measure, arguments.width, arguments.views, options)
            if spent is not None:
                seconds[name].append(spent)
    medians = {name: statistics.median(times) for name, times in seconds.items() if times}
    costs = {name: Cost(median, medians[PLAIN] / median) for name, median in medians.items()}
    images = f"{HEIGHT}x{WIDTH}, {arguments.views} views, {torch.get_num_threads()} threads"
    print(f"SuperPoint, width {arguments.width}, images of {images}")
    for name, cost in costs.items():
        rate = 1 / cost.seconds
        print(
            f"{name:36s} {cost.seconds:7.2f} s an image {rate:7.3f} images/s {3600 * rate:7.0f} labels/hour "
            f"{cost.ratio:6.2f}x"
        )
    if not supported:
        print("bfloat16 is left out: this processor is not faster with it")
    if arguments.json:
        arguments.json.write_text(json_text(costs))


if __name__ == "__main__":
    main()
