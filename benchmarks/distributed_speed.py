"""Training and folder jobs by one process and by two, on the same cores.

    python benchmarks/distributed_speed.py [--seconds 10] [--rounds 3] [--width 0.25] [--json FILE]

Training is that of joint views, a batch over and over, so that no rendering counts: one process with two threads, two
of one thread with half the batch each, and these with synchronised BatchNorm. The variants take turns, each in
processes of its own, since other programs change the speed of a machine. The parts of a step that only several
processes have are timed alone. `adapt` and `extract` run on a folder in one process with two threads, and in two shards
of one thread each at once.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from magicpoint.core.plain import json_text
from magicpoint.core.precision import Precision

if TYPE_CHECKING:
    from magicpoint.training.settings import TrainSettings
    from magicpoint.training.tasks.base import Task

TRAINING = {
    # processes, threads of each, synchronised BatchNorm
    "one process, 2 threads": (1, 2, False),
    "one process, 1 thread": (1, 1, False),
    "two processes, 1 thread each": (2, 1, False),
    "two processes, synchronised BatchNorm": (2, 1, True),
}
BATCH_SIZE = 8


class Training(NamedTuple):
    """What is trained: the task, the settings of the run, and the batches of a process of several."""

    task: Task[Any, Any, Any]
    run: TrainSettings
    batches: Callable[[int, int], Any]


def joint_training(width: float, synchronised: bool = False, precision: Precision = "float32") -> Training:
    """Joint training on batches of rendered views, without labelled images."""
    from magicpoint.data.settings import ViewSettings
    from magicpoint.data.sources import RenderedSource
    from magicpoint.model.settings import ModelSettings
    from magicpoint.training.settings import TrainSettings
    from magicpoint.training.tasks.settings import SuperPointSettings
    from magicpoint.training.tasks.superpoint import SuperPointTask
    from magicpoint.training.tasks.views import ViewTask
    from magicpoint.training.validation.superpoint import ViewValidator
    from synthetic_shapes import ShapeSettings

    task = SuperPointTask.__new__(SuperPointTask)  # its own source would need labels
    settings = SuperPointSettings(
        images=(Path(),), labels=Path(), model=ModelSettings(width, descriptor_dim=256), views=ViewSettings((120, 160))
    )
    run = TrainSettings(task=settings, batch_size=BATCH_SIZE, precision=precision, sync_batch_norm=synchronised)
    source = RenderedSource(0, ShapeSettings(size_hw=(160, 200)))
    ViewTask.__init__(task, settings, run, source, cast(ViewValidator, None))  # nobody judges it
    task._settings = settings
    return Training(task, run, task.batches)


def train(seconds: float, width: float, synchronised: bool) -> dict[str, float]:
    """Images a second of this process and those beside it, and seconds of what joins them."""
    import torch
    from torch import distributed

    from magicpoint.core.machine import keep_freed_memory
    from magicpoint.training.distributed import process_group
    from magicpoint.training.loop import StepLosses, train_step

    keep_freed_memory()
    task, run, batches = joint_training(width, synchronised)
    with process_group(torch.device("cpu")) as processes:
        item = batches(processes.rank, processes.count)[0]
        network = task.build_network().to(memory_format=torch.channels_last)
        losses_of = processes.wrap(StepLosses(task, network), synchronised).train()
        optimizer = torch.optim.AdamW(losses_of.parameters(), 1e-4)
        times: list[float] = []
        end, worked = False, time.process_time()
        while not end:
            start = time.perf_counter()
            losses = train_step(task, losses_of, optimizer, [item], run, len(times))
            _, end = processes.agree(losses, len(times) > 6 and sum(times) > seconds)
            times.append(time.perf_counter() - start)
        worked = time.process_time() - worked
        found = {
            "images_per_second": BATCH_SIZE / statistics.median(times[2:]),
            "processor_seconds": worked * processes.count / BATCH_SIZE / len(times),
        }
        if processes.count > 1:
            gradient = torch.zeros(sum(parameter.numel() for parameter in network.parameters()))
            for name, tensor in (("gradient", gradient), ("number", torch.zeros(1))):
                taken = []
                for _ in range(30):
                    start = time.perf_counter()
                    distributed.all_reduce(tensor)
                    taken.append(time.perf_counter() - start)
                found[f"seconds_{name}"] = statistics.median(taken)
            found["gradient_bytes"] = 4.0 * gradient.numel()
        return found if processes.is_first else {}


def run_training(processes: int, threads: int, synchronised: bool, seconds: float, width: float) -> dict[str, float]:
    """`train` in processes of its own."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    words = ["child", "--seconds", str(seconds), "--width", str(width), *["--synchronised"] * synchronised]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run([*command, __file__, *words], env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))
    return found


def run_job(words: list[str], folder: Path, shards: int) -> float:
    """Seconds of a verb in one process with two threads, or in shards of one thread each, at once."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(2 // shards)}
    command = [sys.executable, "-m", "magicpoint", *words, "--quiet"]
    nothing = subprocess.DEVNULL
    with tempfile.TemporaryDirectory() as out:
        command += [str(folder), "--out", f"{out}/f.h5"]
        shares = [["--shard", f"{number}/{shards}"] if shards > 1 else [] for number in range(shards)]
        start = time.perf_counter()
        running = [subprocess.Popen([*command, *share], env=environment, stdout=nothing) for share in shares]
        if sum([process.wait() for process in running]):
            raise RuntimeError(f"{words} failed")
        return time.perf_counter() - start


def write_images(folder: Path, count: int) -> None:
    """Rendered shapes of 240x320."""
    from magicpoint.io.images import write_png
    from synthetic_shapes import ShapeSettings, render_sample

    for number in range(count):
        write_png(folder / f"{number:03}.png", render_sample(0, number, ShapeSettings(size_hw=(240, 320))).image)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("child", nargs="?")
    parser.add_argument("--synchronised", action="store_true")
    parser.add_argument("--seconds", type=float, default=10.0, help="of training for each variant in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--width", type=float, default=0.25)
    parser.add_argument("--images", type=int, default=24, help="of adapt and four times as many of extract")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if arguments.child:
        found = train(arguments.seconds, arguments.width, arguments.synchronised)
        if found:
            print(json.dumps(found))
        return
    jobs = {
        "adapt": (["adapt", "--weights", "magicpoint", "--count", "10"], arguments.images),
        "extract": (["extract", "--weights", "superpoint-small"], 4 * arguments.images),
    }
    rounds: list[dict[str, dict[str, float]]] = []
    with tempfile.TemporaryDirectory() as folder:
        for name, (_, count) in jobs.items():
            write_images(Path(folder, name), count)
        for _ in range(arguments.rounds):
            done = {name: run_training(*how, arguments.seconds, arguments.width) for name, how in TRAINING.items()}
            for name, (words, count) in jobs.items():
                for shards in (1, 2):
                    seconds = run_job(words, Path(folder, name), shards)
                    done[f"{name}, {shards} at once"] = {"seconds": seconds, "images_per_second": count / seconds}
            rounds.append(done)
            print({name: round(values["images_per_second"], 2) for name, values in done.items()}, file=sys.stderr)
    first = next(iter(TRAINING))
    for name in rounds[0]:
        base = first if name in TRAINING else f"{name.split(',')[0]}, 1 at once"
        ratios = [done[name]["images_per_second"] / done[base]["images_per_second"] for done in rounds]
        rate = statistics.median(done[name]["images_per_second"] for done in rounds)
        span = f"{statistics.median(ratios):.2f} times ({min(ratios):.2f} to {max(ratios):.2f})"
        print(f"{name:40s} {rate:8.2f} images/s   {span}")
    for name in TRAINING:
        worked = statistics.median(done[name]["processor_seconds"] for done in rounds)
        print(f"{name:40s} {worked:8.4f} seconds of a processor for an image")
    two = [done["two processes, 1 thread each"] for done in rounds]
    for name in ("seconds_gradient", "seconds_number"):
        print(f"{name} {statistics.median(found[name] for found in two) * 1e3:.2f} ms")
    print(f"gradient {two[0]['gradient_bytes'] / 1e6:.2f} MB")
    if arguments.json:
        arguments.json.write_text(json_text(rounds))


if __name__ == "__main__":
    main()
