"""A training step as it is, and with its network compiled by `torch.compile`.

    python benchmarks/compile_speed.py [--cases "detector 0.25 float32" ...] [--seconds 10] [--rounds 3]

Both take turns in one process, on the same batch, which is seen over and over, so that no rendering counts. Compiled is
the network alone, the convolutions, BatchNorm and ReLU; the losses, whose sizes change from batch to batch, stay. The
first compiled step is timed by itself, with an empty cache: after how many steps it has paid is what it took over what
a step gains. Needs a C++ compiler.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from distributed_speed import Training, joint_training
from figures import Figure, of, save
from variants import run_apart

from magicpoint.core.precision import Precision

CASES = [
    f"{task} {width} {precision}"
    for task in ("detector", "joint")
    for width in (0.25, 1.0)
    for precision in ("float32", "bfloat16")
]


@dataclass(frozen=True)
class Steps:
    """Seconds of the first compiled step, and in each round of a step as it is and of a compiled one."""

    first: float
    plain: list[float]
    compiled: list[float]


def detector_training(width: float, precision: Precision) -> Training:
    """Training on rendered shapes of 120x160, 32 a step, as `magicpoint train` does unless told otherwise."""
    from magicpoint.model.settings import ModelSettings
    from magicpoint.training.settings import TrainSettings
    from magicpoint.training.tasks.magicpoint import MagicPointTask
    from magicpoint.training.tasks.settings import MagicPointSettings

    settings = MagicPointSettings(model=ModelSettings(width))
    run = TrainSettings(task=settings, precision=precision)
    task = MagicPointTask(settings, run)
    return Training(task, run, task.batches)


def measure(case: str, seconds: float, rounds: int, processor: bool) -> Steps:
    """One case in this process, in seconds that passed, or of the processor with one thread."""
    import torch

    from magicpoint.core.machine import keep_freed_memory
    from magicpoint.training.loop import StepLosses, train_step

    keep_freed_memory()
    clock = time.process_time if processor else time.perf_counter
    if processor:
        torch.set_num_threads(1)
    name, width, precision = case.split()
    make = detector_training if name == "detector" else joint_training
    task, run, batches = make(float(width), precision=cast(Precision, precision))
    item = batches(0, 1)[0]

    def stepper(compiled: bool) -> Callable[[], float]:
        torch.manual_seed(0)
        network = task.build_network().to(memory_format=torch.channels_last)
        if compiled:
            network.compile()
        losses_of = StepLosses(task, network).train()
        optimizer = torch.optim.AdamW(losses_of.parameters(), 1e-4)

        def step() -> float:
            start = clock()
            train_step(task, losses_of, optimizer, [item], run, 0)
            return clock() - start

        return step

    steppers = [stepper(False), stepper(True)]
    start = time.perf_counter()
    steppers[1]()
    first = time.perf_counter() - start
    for step in steppers:
        step()
    found: list[list[float]] = [[], []]
    for _ in range(rounds):
        for step, medians in zip(steppers, found, strict=True):
            times: list[float] = []
            while len(times) < 3 or sum(times) < seconds / rounds:
                times.append(step())
            medians.append(statistics.median(times))
    return Steps(first, *found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", choices=CASES, default=CASES, metavar="CASE")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each kind of step in each case")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--processor", action="store_true", help="count its seconds, where other programs have the cores"
    )
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    figures: dict[str, Figure] = {}
    print(
        "| network | as it is | compiled | times as fast | first step | pays after steps |\n|---|---|---|---|---|---|"
    )
    for case in arguments.cases:
        with tempfile.TemporaryDirectory() as cache:
            os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache
            steps = run_apart(case, measure, case, arguments.seconds, arguments.rounds, arguments.processor)
        if steps is None:
            continue
        ratio = of(
            [plain / compiled for plain, compiled in zip(steps.plain, steps.compiled, strict=True)], "", "higher"
        )
        plain, compiled = statistics.median(steps.plain), statistics.median(steps.compiled)
        pays = f"{(steps.first - compiled) / (plain - compiled):.0f}" if compiled < plain else "never"
        print(
            f"| {case} | {1e3 * plain:.1f} ms | {1e3 * compiled:.1f} ms | {ratio.value:.2f} ({ratio.low:.2f} to "
            f"{ratio.high:.2f}) | {steps.first:.1f} s | {pays} |",
            flush=True,
        )
        figures[case] = ratio
    if arguments.json:
        save(arguments.json, figures)


if __name__ == "__main__":
    main()
