"""Images per second of the training step, against the plain float32 eager step of the same network.

    python benchmarks/train_speed.py [--width 1.0] [--seconds 20] [--json FILE]

Every variant runs in a process of its own, since the allocator's setting concerns the whole process, and the variants
take turns, so that a change of the machine's speed meets all of them.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from figures import of, save
from variants import run_apart

PLAIN = "float32 eager"

VARIANTS = {
    PLAIN: [],
    "channels-last": ["channels_last"],
    "channels-last, memory kept": ["channels_last", "keep_memory"],
    "bfloat16, channels-last, memory kept": ["channels_last", "keep_memory", "bfloat16"],
}
BATCH_SIZE, SIZE_HW = 32, (120, 160)


def measure(width: float, seconds: float, options: list[str]) -> float:
    """Images per second of one variant in this process, after two steps of warm-up: the median step."""
    if "keep_memory" in options:
        from magicpoint.core.machine import keep_freed_memory

        keep_freed_memory()
    import torch
    from torch.optim import AdamW

    from magicpoint.model.network import MagicPoint
    from magicpoint.training.losses.detector import detector_loss
    from magicpoint.training.targets import labels2Dto3D

    torch.manual_seed(0)
    model = MagicPoint(width).train()
    image = torch.rand(BATCH_SIZE, 1, *SIZE_HW)
    target = labels2Dto3D((torch.rand(BATCH_SIZE, 1, *SIZE_HW) > 0.999).float())
    if "channels_last" in options:
        model = model.to(memory_format=torch.channels_last)
        image = image.contiguous(memory_format=torch.channels_last)
    optimizer = AdamW(model.parameters())
    times: list[float] = []
    while len(times) < 5 or sum(times) < seconds:
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled="bfloat16" in options):
            logits = model(image).logits
        loss = detector_loss(logits, target)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        times.append(time.perf_counter() - start)
    return BATCH_SIZE / statistics.median(times[2:])


def operations(width: float) -> float:
    """Floating point operations of one image's step: the convolutions, forward once and backward twice.

    The first layer's input needs no gradient. BatchNorm, ReLU, pooling, loss and optimiser are left out.
    """
    import torch
    from torch import nn

    from magicpoint.model.network import MagicPoint

    total = 0

    def count(layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        assert isinstance(layer, nn.Conv2d)
        passes = 2 if layer.in_channels == 1 else 3
        nonlocal total
        total += passes * 2 * output[0].numel() * layer.in_channels * layer.kernel_size[0] ** 2

    with torch.device("meta"):
        model = MagicPoint(width)
        for layer in model.modules():
            if isinstance(layer, nn.Conv2d):
                layer.register_forward_hook(count)
        model(torch.empty(1, 1, *SIZE_HW))
    return float(total)


def matrix_peak(dtype_name: str) -> float:
    """Operations per second of the best of ten products of two 2048x2048 matrices."""
    import torch

    matrix = torch.rand(2048, 2048, dtype=getattr(torch, dtype_name))
    best = float("inf")
    for _ in range(10):
        start = time.perf_counter()
        matrix @ matrix
        best = min(best, time.perf_counter() - start)
    return 2 * 2048**3 / best


@dataclass(frozen=True)
class Rate:
    """Images of training in a second, and how many times those of the plain step."""

    images_per_second: float
    ratio: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--seconds", type=float, default=20.0, help="time for each variant in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    found: dict[str, list[float]] = {name: [] for name in VARIANTS}
    for _ in range(arguments.rounds):
        for name, options in VARIANTS.items():
            reached = run_apart(name, measure, arguments.width, arguments.seconds / arguments.rounds, options)
            if reached is not None:
                found[name].append(reached)
    medians = {name: statistics.median(rates) for name, rates in found.items() if rates}
    rates = {name: Rate(median, median / medians[PLAIN]) for name, median in medians.items()}
    gflop = operations(arguments.width) / 1e9
    peaks = {name: matrix_peak(name) / 1e9 for name in ("float32", "bfloat16")}
    print(f"MagicPoint, width {arguments.width}, batches of {BATCH_SIZE} images of {SIZE_HW[0]}x{SIZE_HW[1]}")
    reached = ", ".join(f"{peak:.0f} GFLOP/s in {name}" for name, peak in peaks.items())
    print(f"{gflop:.2f} GFLOP an image; matrix products reach {reached} here")
    for name, rate in rates.items():
        own = "bfloat16" if "bfloat16" in VARIANTS[name] else "float32"
        share = rate.images_per_second * gflop / peaks[own]
        print(
            f"{name:38s} {rate.images_per_second:7.1f} images/s {rate.ratio:6.2f}x   "
            f"{share:4.0%} of the {own} matrix peak"
        )
    if arguments.json:
        save(arguments.json, {name: of(values, "images/s", "higher") for name, values in found.items() if values})


if __name__ == "__main__":
    main()
