"""How soon training begins on very many labelled images, and whether what reads ahead stays as large as it is.

    python benchmarks/first_step.py [--images 1000000] [--shards 16] [--steps 100] [--json FILE]

A hundred rendered pictures of 264x264 stand under as many linked folders as are needed, and each has labels of its own
in shards. Timed is `magicpoint train --task superpoint` from the start of the command to its first line of metrics, and
the memory of the training process and of the one that reads ahead is seen there and in the later half of the run.
Linux, for what is counted of a process; a million labels are written for some minutes and take 1.5 GB.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from figures import of, save

from magicpoint.core.shards import Shard
from magicpoint.core.types import Labels
from magicpoint.io.images import write_png
from magicpoint.io.labels import LABELS
from magicpoint.io.records import write_records
from synthetic_shapes import ShapeSettings, render_sample

SIDE, PICTURES, POINTS = 264, 100, 6


def write_images(folder: Path, count: int) -> list[str]:
    """Pictures, and folders that link to theirs; the keys of so many."""
    for number in range(PICTURES):
        picture = render_sample(0, number, ShapeSettings(size_hw=(SIDE, SIDE))).image
        write_png(folder / "pictures" / f"{number:02}.png", picture)
    (folder / "photographs").mkdir()
    folders = [f"{number:06}" for number in range(-(-count // PICTURES))]
    for name in folders:
        (folder / "photographs" / name).symlink_to(folder / "pictures", target_is_directory=True)
    return [f"{name}/{number:02}.png" for name in folders for number in range(PICTURES)][:count]


def write_labels(folder: Path, keys: list[str], shards: int) -> None:
    """The same labels for each key, in its shard."""
    points = torch.rand(POINTS, 2, generator=torch.Generator().manual_seed(0)) * (SIDE - 1)
    mask = torch.ones(SIDE, SIDE, dtype=torch.bool)
    labels = Labels(points, torch.full((POINTS,), 0.5), None, (SIDE, SIDE), mask)
    for number in range(shards):
        shard = Shard(number, shards)
        records = {key: labels for key in keys if shard.has(key)}
        write_records(folder / "labels" / shard.name("labels.h5"), LABELS, records)


def megabytes(process: int) -> list[float]:
    """Of a process, and of the largest that it has started."""
    found: dict[bool, list[float]] = {True: [0.0], False: [0.0]}
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            values = dict(line.split(":", 1) for line in status.read_text().splitlines())
        except OSError:  # it has ended
            continue
        is_own = int(values["Pid"]) == process
        if "VmRSS" in values and (is_own or int(values["PPid"]) == process):
            found[is_own].append(int(values["VmRSS"].split()[0]) / 1024)
    return [max(found[True]), max(found[False])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--shards", type=int, default=16)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_labels(folder, write_images(folder, arguments.images), arguments.shards)
        words = [sys.executable, "-m", "magicpoint", "train", str(folder / "run"), "--task", "superpoint"]
        words += ["--images", str(folder / "photographs"), "--labels", str(folder / "labels"), "--quiet"]
        words += ["--model.width", "0.25", "--batch_size", "8", "--steps", str(arguments.steps), "--log_every", "1"]
        words += ["--validate_every", "1000000", "--precision", "float32"]
        metrics, began = folder / "run" / "metrics.jsonl", time.monotonic()
        process = subprocess.Popen(words)
        seen: list[list[float]] = []
        first = 0.0
        while process.poll() is None:
            if metrics.exists() and '"train"' in metrics.read_text():
                first = first or time.monotonic() - began
                seen.append(megabytes(process.pid))
            time.sleep(0.2)
        if process.returncode or not seen:
            raise SystemExit(f"exit status {process.returncode}")
    print(f"{arguments.images} images in {arguments.shards} shards: the first step was done after {first:.1f} s")
    last = [max(values) for values in zip(*seen[len(seen) // 2 :], strict=True)]
    for number, what in enumerate(("training", "reading ahead")):
        print(
            f"{what:14s} {seen[0][number]:6.0f} MB after the first step, {last[number]:6.0f} MB {arguments.steps} later"
        )
    if arguments.json:
        save(arguments.json, {"first step": of([first], "s"), "reading ahead": of([last[1]], "MB")})


if __name__ == "__main__":
    main()
