"""What a recipe costs on 1, 8 and 64 GPUs, for a million images and for a hundred: a model, from constants.

    python benchmarks/scaling_plan.py [--tflops 20] [--megabytes 3000] [--milliseconds 0.05] [--json FILE]

The recipe is the paper's: labels by homographic adaptation, twice, and joint training. The operations are counted from
the network, the bytes from its parameters and from files of labels; how many operations a GPU does in a second, what
the net carries and how long it takes to begin are arguments: measure them on yours. What they are by default is an
assumption and no measurement.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from magicpoint.core.plain import json_text

GPUS = (1, 8, 64)
IMAGES = (10**6, 10**8)


@dataclass(frozen=True)
class Recipe:
    """What is to be done.

    Args:
        pixels: Of an image that is labelled.
        views: Of an image in adaptation.
        rounds: Of adaptation.
        view_pixels: Of a view in training.
        passes: How often each image is trained on, as two views.
        batch: Images of a step on each GPU.
        width: Of the network.
    """

    pixels: int = 240 * 320
    views: int = 100
    rounds: int = 2
    view_pixels: int = 240 * 320
    passes: int = 4
    batch: int = 32
    width: float = 1.0


@dataclass(frozen=True)
class Machine:
    """What it is done on.

    Args:
        flops: Operations a second that a GPU reaches on this network.
        bytes_per_second: What the net between GPUs carries.
        latency: Seconds until a transfer begins.
        decoded: Images that a core reads and decodes in a second.
        cores: For each GPU.
    """

    flops: float = 20e12
    bytes_per_second: float = 3e9
    latency: float = 5e-5
    decoded: float = 300.0
    cores: int = 8


LABEL_BYTES = 1500
"""Of an image of 264 pixels with 6 labels: a file of a hundred has 147,429 bytes."""

SYNCHRONISED = 20
"""Transfers of synchronised BatchNorm in a step: of ten layers, forwards and backwards."""


@dataclass(frozen=True)
class Plan:
    """What it comes to: hours of each stage, of all GPUs together, the part of a step that is transfer, gigabytes."""

    images: int
    gpus: int
    adaptation_hours: float
    training_hours: float
    gpu_hours: float
    transfer_share: float
    label_gigabytes: float


def operations(width: float, descriptors: bool) -> float:
    """Floating point operations of the convolutions for each pixel of an image, forwards."""
    import torch
    from torch import nn

    from magicpoint.model.network import MagicPoint, SuperPoint

    total = 0

    def count(layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        assert isinstance(layer, nn.Conv2d)
        nonlocal total
        total += 2 * output[0].numel() * layer.in_channels * layer.kernel_size[0] ** 2

    with torch.device("meta"):
        network = (SuperPoint if descriptors else MagicPoint)(width)
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d):
                layer.register_forward_hook(count)
        network(torch.empty(1, 1, 64, 64))
    return total / 64**2


def parameters(width: float) -> int:
    """Of a network with descriptors."""
    from magicpoint.model.network import SuperPoint

    return sum(parameter.numel() for parameter in SuperPoint(width).parameters())


def transferred(count: int, gpus: int) -> float:
    """Bytes that each GPU sends in a step for the gradient of so many parameters: a ring of all-reduce, in float32."""
    return 2 * (gpus - 1) / gpus * 4 * count


def plan(images: int, gpus: int, recipe: Recipe, machine: Machine) -> Plan:
    """The cost of a recipe, which knows no queue, no failure and no validation."""
    forward = recipe.views * recipe.pixels * operations(recipe.width, False) / machine.flops
    decode = 1 / (machine.decoded * machine.cores)
    adaptation = recipe.rounds * images * max(forward, decode) / gpus
    # Forwards and twice as much backwards, of two views.
    compute = recipe.batch * 2 * recipe.view_pixels * 3 * operations(recipe.width, True) / machine.flops
    transfer = 0.0
    if gpus > 1:
        transfer = transferred(parameters(recipe.width), gpus) / machine.bytes_per_second
        transfer += (SYNCHRONISED + 4) * machine.latency
    steps = recipe.passes * images / (recipe.batch * gpus)
    step = max(compute, recipe.batch * decode) + transfer
    hours = adaptation / 3600, steps * step / 3600
    return Plan(images, gpus, *hours, sum(hours) * gpus, transfer / step, images * LABEL_BYTES / 1e9)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    machine = Machine()
    parser.add_argument("--tflops", type=float, default=machine.flops / 1e12, help="that a GPU reaches on this network")
    parser.add_argument(
        "--megabytes", type=float, default=machine.bytes_per_second / 1e6, help="a second, between GPUs"
    )
    parser.add_argument("--milliseconds", type=float, default=machine.latency * 1e3, help="until a transfer begins")
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    recipe = Recipe(width=arguments.width)
    machine = Machine(arguments.tflops * 1e12, arguments.megabytes * 1e6, arguments.milliseconds / 1e3)
    plans = [plan(images, gpus, recipe, machine) for images in IMAGES for gpus in GPUS]
    detector, joint = (operations(recipe.width, descriptors) / 1e3 for descriptors in (False, True))
    print(f"kFLOP a pixel forwards: {detector:.1f} (detector), {joint:.1f} (with descriptors); ", end="")
    print(f"gradient {4 * parameters(recipe.width) / 1e6:.2f} MB\n")
    print("| images | GPUs | adaptation, h | joint training, h | GPU hours | transfer in a step | labels, GB |")
    print("|---|---|---|---|---|---|---|")
    for found in plans:
        hours = f"{found.adaptation_hours:,.1f} | {found.training_hours:,.1f} | {found.gpu_hours:,.0f}"
        print(f"| {found.images:,} | {found.gpus} | {hours} | {found.transfer_share:.1%} | {found.label_gigabytes:g} |")
    if arguments.json:
        arguments.json.write_text(json_text(plans))


if __name__ == "__main__":
    main()
