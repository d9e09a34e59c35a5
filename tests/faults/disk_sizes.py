"""Every verb that writes, on disks that are too small: one line, exit status 1, what was there before untouched.

    python tests/faults/disk_sizes.py [VERB ...] [--sizes 15] [--seed 0]

Needs Linux and the right to mount; without being root: `unshare --map-root-user --mount python tests/faults/...`. For
each verb it measures what an undisturbed run writes, then runs the verb on disks (tmpfs) of sizes between 4 KB and a
little more than that, on each of which there is an earlier output where the verb can go on with one. Where the disk was
too small it is made larger, and the same command has to give what the undisturbed run gave.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch

from magicpoint.cli import main as magicpoint
from magicpoint.io.features import FEATURES
from magicpoint.io.labels import LABELS
from magicpoint.io.records import RecordFile

WEIGHTS = ["--weights", "superpoint-tiny"]
GENERATE = ["generate", "--count", "40", "--validation_count", "0", "--test_count", "0", "--workers", "1"]
VERBS: dict[str, tuple[list[str], str, list[str] | None]] = {
    "extract": (["extract", "images", *WEIGHTS, "--out"], "f.h5", ["extract", "half", *WEIGHTS, "--out"]),
    "adapt": (["adapt", "images", "--count", "2", "--out"], "l.h5", ["adapt", "half", "--count", "2", "--out"]),
    "match": (["match", "images/00.png", "images/01.png", *WEIGHTS, "--out"], "m.png", None),
    "match to HDF5": (["match", "images/00.png", "images/01.png", *WEIGHTS, "--out"], "m.h5", None),
    "track": (["track", "images", *WEIGHTS, "--out"], "t.avi", None),
    "track to a folder": (["track", "images", *WEIGHTS, "--out"], "t", None),
    "generate": (
        ["generate", "--count", "40", "--validation_count", "0", "--test_count", "0", "--workers", "1"],
        "g",
        None,
    ),
    "evaluate": (["evaluate", "pairs", *WEIGHTS, "--protocols", "full", "--methods", "orb", "--out"], "e", None),
    "export": (["export", *WEIGHTS, "--out"], "n.onnx", None),
}
"""By name the words before the output, its name, and the words of what is there before."""


def make_material(folder: Path, seed: int) -> None:
    """Twenty images, half of them in a folder of their own, and a pair."""
    rng = np.random.default_rng(seed)
    for name in ("images", "half", "pairs/v_one"):
        (folder / name).mkdir(parents=True)
    for number in range(20):
        picture = cv2.resize(rng.integers(0, 256, (30, 40), dtype=np.uint8), (320, 240), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / "images" / f"{number:02d}.png"), picture)
        if number < 10:
            cv2.imwrite(str(folder / "half" / f"{number:02d}.png"), picture)
    for number in (1, 2):
        shutil.copy(folder / "images" / "00.png", folder / "pairs" / "v_one" / f"{number}.png")
    (folder / "pairs" / "v_one" / "H_1_2").write_text("1 0 0\n0 1 0\n0 0 1\n")


def _child(words: Sequence[str], pipe: int) -> None:
    torch.set_num_threads(1)
    os.dup2(pipe, 2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.stderr = io.TextIOWrapper(os.fdopen(2, "wb", closefd=False), write_through=True)
    try:
        status = magicpoint(list(words))
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    os._exit(status)


def run(words: Sequence[str]) -> tuple[int | None, str]:
    """Runs a verb in a process of its own: its exit status, negative after a signal, and what it said."""
    with tempfile.TemporaryFile() as said:
        process = multiprocessing.get_context("fork").Process(target=_child, args=(words, said.fileno()))
        process.start()
        process.join(600)
        said.seek(0)
        lines = said.read().decode(errors="replace").replace("\r", "\n").splitlines()
    return process.exitcode, "\n".join(line for line in lines if line.startswith("magicpoint"))


@contextlib.contextmanager
def disk(folder: Path, size: int) -> Iterator[None]:
    """A file system of so many bytes at a folder."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def resize(folder: Path, size: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True)


def content(path: Path) -> dict[str, object]:
    """What an output holds, without what differs from run to run."""
    found: dict[str, object] = {}
    for file in [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file()):
        name = file.relative_to(path.parent).as_posix()
        if file.suffix == ".h5" and not name.startswith("m"):
            records = RecordFile(file, LABELS if name.startswith("l") else FEATURES)
            found[name] = {key: {n: a.tobytes() for n, a in records.arrays(key).items()} for key in records}
        elif file.suffix in (".json", ".txt") and path.name == "e":
            found[name] = file.stat().st_size > 0
        else:
            found[name] = file.read_bytes()
    return found


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def attack(name: str, folder: Path, sizes: int) -> list[str]:
    """What went wrong with a verb, a line each."""
    words, output, before = VERBS[name]
    place, wrong, failed = folder / "disk", [], 0
    place.mkdir(exist_ok=True)
    out = place / output
    with disk(place, 2**30):
        status, said = run([*words, str(out)])
        assert status == 0, said
        expected, needed = content(out), size_of(place)
    for number in range(sizes):
        size = max(4096, int(needed * 2.2 * number / (sizes - 1)))
        with disk(place, 2**30):
            (place / "mine.txt").write_text("mine")
            if before is not None:
                assert run([*before, str(out)])[0] == 0
            earlier = content(out) if before is not None else None
            resize(place, max(size, size_of(place) + 4096 * 4))
            status, said = run([*words, str(out)])
            case = f"{name} on {size} bytes"
            if status not in (0, 1) or (status == 1 and len(said.splitlines()) != 1):
                wrong.append(f"{case}: exit status {status}, {len(said.splitlines())} lines: {said[:300]}")
            if (place / "mine.txt").read_text() != "mine":
                wrong.append(f"{case}: a foreign file was changed")
            if status != 0:
                failed += 1
                if earlier is not None and content(out) != earlier:
                    wrong.append(f"{case}: the earlier output was changed")
                resize(place, 2**30)
                again, said = run([*words, str(out)])
                if again != 0:
                    wrong.append(f"{case}: goes on with exit status {again}: {said[:300]}")
                    continue
            if output != "t" and content(out) != expected:
                wrong.append(f"{case}: the output is another than that of an undisturbed run")
            left = [
                path.name for path in place.iterdir() if path.name.startswith(".") or path.name.endswith(".partial")
            ]
            if left:
                wrong.append(f"{case}: left over: {left}")
    print(f"{name}: {sizes} disks, {failed} too small, {len(wrong)} faults ({needed} bytes written)", flush=True)
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("verbs", nargs="*", default=list(VERBS))
    parser.add_argument("--sizes", type=int, default=15)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        make_material(Path(folder), arguments.seed)
        wrong = [line for name in arguments.verbs for line in attack(name, Path(folder), arguments.sizes)]
        os.chdir("/")
    print("\n".join(wrong) or "no faults")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
