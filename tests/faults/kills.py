"""kill -9 at random moments of every verb that writes: `python tests/faults/kills.py --moments 50` (not on Windows).

Each verb is run undisturbed, then again and again in a fresh folder, killed at a random moment and given once more.
Held each time: a file that was there before is as it was, no process of the killed one is left after 10 s, the same
command then succeeds, its outputs are those of the undisturbed run, and nothing temporary stays.

What takes long to import is imported in functions: processes that a verb starts import this file.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

ORPHANS_END = 10.0
PASSING = ("seconds", "_per_second", "_per_hour", "kept", "new", "changed", "dropped", "unread")
"""Ends of the names of what differs from run to run, or says what was there before."""

PASSING_FILES = (".txt", ".md", ".yaml", ".state")
"""Reports with times, settings with the folder's path, a state, of which the weights are compared."""

TINY = "--weights superpoint-tiny"


def plain(value: object) -> object:
    """JSON without what differs from run to run."""
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items() if not any(name.endswith(end) for end in PASSING)}
    return [plain(item) for item in value] if isinstance(value, list) else value


def records(read: Callable[[Path], Mapping[str, object]]) -> Callable[[Path], object]:
    """What a file of records holds."""

    def content(path: Path) -> object:
        found = read(path)
        return {
            key: [value.numpy().tobytes() if hasattr(value, "numpy") else value for value in vars(found[key]).values()]
            for key in found
        }

    return content


def weights(path: Path) -> object:
    from safetensors.numpy import load_file

    return {name: value.tobytes() for name, value in load_file(path).items()}


def content_of(path: Path) -> object:
    """What counts of a file."""
    from magicpoint import read_features, read_labels

    if path.suffix == ".h5":
        return records(read_labels if path.name.startswith("l") else read_features)(path)
    if path.suffix == ".json":
        return plain(json.loads(path.read_text()))
    if path.suffix == ".jsonl":
        return [plain(json.loads(line)) for line in path.read_text().splitlines()]
    if path.suffix == ".safetensors":
        return weights(path)
    return path.read_bytes()


@dataclass(frozen=True)
class Case:
    """A verb.

    Args:
        words: Its command.
        outputs: What it writes, files and folders.
        earlier: A command that makes an output which the killed one replaces.
        again: Whether the command is taken again where its output is there, else that is removed before.
    """

    words: str
    outputs: list[str]
    earlier: str | None = None
    again: bool = True


_ADAPT = "--count 3 --precision float32 --threshold 0.001"
_TRAIN = (
    "--steps 12 --checkpoint_every 2 --validate_every 6 --log_every 2 --batch_size 2 --workers 1 --precision float32"
)
_TUNE = "--steps 4 --batch_size 2 --precision float32 --adaptation.count 2 --adaptation.longest_side 80"
_TUNE += " --adaptation.threshold 0.001"
_GENERATE = "--count 300 --validation_count 20 --test_count 0 --size_hw 48x64 --workers 2"
_EXTRACT = f"extract images --out f.h5 --overlay o {TINY}"
CASES = {
    "extract": Case(_EXTRACT, ["f.h5", "o"], earlier=_EXTRACT),
    "adapt": Case(f"adapt images --out l.h5 {_ADAPT} {TINY}", ["l.h5", "l.json"]),
    "generate": Case(f"generate g {_GENERATE}", ["g"]),
    "convert": Case("convert old c", ["c"], again=False),
    "train": Case(f"train r --resume {_TRAIN} --model.width 0.125 --shapes.size_hw 48x64", ["r"]),
    "finetune": Case(f"finetune images --out t {_TUNE} {TINY}", ["t"]),
    "evaluate": Case(f"evaluate pairs --out e {TINY} --methods harris orb", ["e"]),
    "match": Case(f"match images/00.png images/01.png --out m.png {TINY}", ["m.png"]),
    "track": Case(f"track images --out v.avi {TINY}", ["v.avi"]),
    "track to a folder": Case(f"track images --out v {TINY}", ["v"]),
    "export": Case(f"export --out w.onnx {TINY}", ["w.onnx"]),
    "soup": Case("soup superpoint-tiny superpoint-tiny --out s.safetensors", ["s.safetensors"]),
    "import": Case("import other.pth --out i.safetensors --source s --licence l", ["i.safetensors"]),
}


def lay(folder: Path) -> None:
    """The inputs of all verbs."""
    import cv2
    import numpy as np

    from magicpoint.export.foreign import write_magicleap
    from magicpoint.model.network import PointNetwork
    from magicpoint.model.settings import ModelSettings
    from synthetic_shapes import ShapeSettings, render_sample

    (folder / "images").mkdir(parents=True)
    picture, _ = render_sample(0, 5, ShapeSettings(size_hw=(120, 160)))
    for number in range(12):
        cv2.imwrite(str(folder / "images" / f"{number:02d}.png"), np.roll(picture, 3 * number, 1))
    pair = folder / "pairs" / "v_one"
    pair.mkdir(parents=True)
    shutil.copy(folder / "images" / "00.png", pair / "1.png")
    shutil.copy(folder / "images" / "01.png", pair / "2.png")
    (pair / "H_1_2").write_text("1 0 3\n0 1 0\n0 0 1\n")
    for split, count in (("training", 200), ("validation", 10)):
        images, points = (folder / "old" / "draw_lines" / kind / split for kind in ("images", "points"))
        images.mkdir(parents=True)
        points.mkdir(parents=True)
        for number in range(count):
            shutil.copy(folder / "images" / f"{number % 12:02d}.png", images / f"{number}.png")
            np.save(points / f"{number}.npy", np.array([[10.0, 20.0]], np.float32))
    write_magicleap(folder / "other.pth", PointNetwork(ModelSettings(batch_norm="none", descriptor_dim=256)))


class Started:
    """A verb in a process and a session of its own."""

    def __init__(self, words: str, folder: Path) -> None:
        with open(folder / "said.txt", "wb") as said:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "magicpoint", *words.split()],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """The exit status, negative after a signal; None while it runs."""
        return self._process.poll()

    def wait(self, seconds: float) -> int:
        """The exit status."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(self.pid, signal.SIGKILL)
            raise AssertionError(f"not over after {seconds} s") from None

    def kill(self) -> None:
        """kill -9 of the process alone; its children have to see for themselves."""
        self._process.kill()


def run(words: str, folder: Path) -> float:
    """Runs a verb; the seconds that it took."""
    began = time.monotonic()
    status = Started(words, folder).wait(600)
    if status:
        raise AssertionError(f"exit status {status}: {(folder / 'said.txt').read_text()[-2000:]}")
    return time.monotonic() - began


def members(session: int) -> list[int]:
    """The processes of a session that are no zombies."""
    listed = subprocess.run(["ps", "-eo", "pid=,sess=,stat="], capture_output=True, text=True, check=True).stdout
    rows = (line.split() for line in listed.splitlines())
    return [int(pid) for pid, owner, state in rows if owner == str(session) and not state.startswith("Z")]


def contents(case: Case, folder: Path) -> dict[str, object]:
    """What counts of all outputs, by file."""
    found = {}
    for output in case.outputs:
        path = folder / output
        for file in [path] if path.is_file() else sorted(path.rglob("*")):
            if file.is_file() and file.suffix not in PASSING_FILES:
                found[file.relative_to(folder).as_posix()] = content_of(file)
    return found


def temporaries(folder: Path) -> list[str]:
    """What looks as if it had been left over."""
    ends = (".tmp", ".partial", ".unfinished", ".lock")
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.name.endswith(ends))


def disturbed(case: Case, inputs: Path, true: Mapping[str, object], seconds: float, share: float, check: bool) -> str:
    """One kill and what follows; says at which moment it came."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "work")
        shutil.copytree(inputs, folder)
        before = {}
        if case.earlier is not None and check:
            run(case.earlier, folder)
            before = contents(case, folder)
        process = Started(case.words, folder)
        time.sleep(share * seconds)
        over = process.poll() is not None
        process.kill()
        process.wait(10)
        ends = time.monotonic() + ORPHANS_END
        while members(process.pid) and time.monotonic() < ends:
            time.sleep(0.2)
        left = members(process.pid)
        assert not left, f"processes {left} are left"
        for path, content in before.items():
            assert content_of(folder / path) == content, f"{path} was lost"
        if not case.again:
            for output in case.outputs:
                shutil.rmtree(folder / output, ignore_errors=True)
        run(case.words, folder)
        found = contents(case, folder)
        assert found.keys() == true.keys(), f"files {sorted(found.keys() ^ true.keys())}"
        other = [path for path in true if found[path] != true[path]]
        assert not other, f"{other} differ from those of an undisturbed run"
        assert not (stays := temporaries(folder)), f"{stays} stay"
        return "after the end" if over else f"{share * seconds:.2f} s"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("verbs", nargs="*", default=list(CASES))
    parser.add_argument("--moments", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    failures = 0
    with tempfile.TemporaryDirectory() as name:
        inputs = Path(name, "inputs")
        lay(inputs)
        for verb in arguments.verbs:
            case, rng = CASES[verb], random.Random(f"{arguments.seed} {verb}")
            whole = Path(name, "whole")
            shutil.copytree(inputs, whole)
            seconds = run(case.words, whole)
            true, fallen = contents(case, whole), []
            shutil.rmtree(whole)
            for moment in range(arguments.moments):
                share = rng.uniform(0.2, 1.0)  # before that it is Python that starts
                try:
                    disturbed(case, inputs, true, seconds, share, check=moment % 2 == 0)
                except (AssertionError, OSError, ValueError) as error:
                    fallen.append(f"{share * seconds:.2f} s: {error}")
            failures += len(fallen)
            print(f"{verb}: {arguments.moments} kills in {seconds:.1f} s, {len(fallen)} fell", flush=True)
            for line in fallen:
                print(f"    {line}", flush=True)
    return min(failures, 1)


if __name__ == "__main__":
    sys.exit(main())
