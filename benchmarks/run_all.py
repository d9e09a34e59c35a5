"""Every benchmark, one after the other: one JSON file with all figures, and one page with the tables and plots.

    python benchmarks/run_all.py --out FOLDER [--quick] [--device cuda] [--compare EARLIER.json] [--only NAME ...]

`--quick` takes about five minutes on two cores, all about an hour. The folder gets run_all.json, index.md, and what
each benchmark writes of itself. `--compare` takes the run_all.json of an earlier run and says which figures have
become worse by more than the noise (see `figures.compare`); the exit status is 1 where one has. What needs data that
are not in the repository runs where they are named: `--pairs` a folder in the layout of HPatches, `--photographs` one
of photographs, `--run` a training run. A benchmark that fails is said, and the others go on.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import figures
import torch

from magicpoint.core.machine import versions
from magicpoint.core.plain import json_text

FOLDER = Path(__file__).parent


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """A file of this folder, and how it is run.

    Args:
        title: The heading of its part of the page.
        quick: The words of a quick run; None leaves it out. {out} stands for its folder, {json} for its file, {device}
            for the device; {pairs}, {photographs} and {run} for what has to be named, without which it is left out.
        full: Those of a full one.
    """

    title: str
    quick: str | None
    full: str


BENCHMARKS = {
    "first_call": Benchmark(
        "The first call", "--json {json} --rounds 5 --device {device}", "--json {json} --rounds 20 --device {device}"
    ),
    "cold_start": Benchmark("Cold start", "--json {json} --rounds 2", "--json {json} --rounds 5"),
    "growth": Benchmark("Large and small", "--json {json} --quick", "--json {json}"),
    "video_speed": Benchmark("Video", "--json {json} --frames 60 --rounds 2", "--json {json} --frames 300 --rounds 3"),
    "many_images": Benchmark("Many small images", "--count 2000 --json {json}", "--count 20000 --json {json}"),
    "first_step": Benchmark("A million labelled images", None, "--json {json}"),
    "folder_speed": Benchmark(
        "A folder of photographs",
        "photographs --make --images 40 --block 20 --weights superpoint-small --json {json}",
        "photographs --make --images 200 --weights superpoint-small --json {json}",
    ),
    "render_speed": Benchmark("Rendering", "--count 90 --repeats 3 --json {json}", "--json {json}"),
    "train_speed": Benchmark("Training", "--width 0.5 --seconds 4 --rounds 1 --json {json}", "--json {json}"),
    "compile_speed": Benchmark("Training, compiled", None, "--json {json}"),
    "matcher_speed": Benchmark("Learned matcher", None, "--threads {threads}"),
    "distributed_speed": Benchmark("Several processes", None, ""),
    "scaling_plan": Benchmark("What a recipe costs on many GPUs", None, ""),
    "extract_speed": Benchmark("Every engine and number format", None, "--rounds 2 --out {out}"),
    "adaptation_speed": Benchmark("Adaptation", None, "--json {json}"),
    "descriptor_loss_memory": Benchmark("Descriptor losses", None, "--json {json}"),
    "planar_choices": Benchmark("What finds quadrilaterals", None, "--out {out}"),
    "locate_pairs": Benchmark("Known things in photographs", None, "{pairs} --out {out}"),
    "locate_scenes": Benchmark("Known things in rendered scenes", None, "{photographs} --out {out}"),
    "locate_templates": Benchmark("What a template costs", None, "{photographs} --json {json}"),
    "solid_orientation": Benchmark("How a known solid lies", None, "{photographs} --out {out}"),
    "limits": Benchmark("Where the networks end", None, ""),
    "speed_accuracy": Benchmark("Accuracy against time", None, "{pairs} --out {out}"),
    "scale_and_turn": Benchmark("Scale and turn", None, "{photographs} --out {out}"),
    "time_to_quality": Benchmark("Time to a quality", None, "{run}"),
    "colmap_rooms": Benchmark("Rooms from COLMAP", None, "--rooms 1 --out {out}"),
}
"""By the name of the file; a new benchmark is a file and a row."""

PARTS = {"extract_variants", "figures", "run_all", "timing", "variants"}
"""The files of this folder that are none."""


@dataclasses.dataclass(frozen=True)
class Done:
    """What a benchmark came to: seconds, exit status, what it printed, its pictures and its figures."""

    seconds: float
    status: int
    printed: str
    pictures: tuple[str, ...]
    figures: figures.Figures
    more: dict[str, Any]


def processor() -> str:
    """Its name, as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def words_of(benchmark: Benchmark, quick: bool, values: dict[str, Any]) -> list[str] | str:
    """The words with which it is run; or why it is not."""
    template = benchmark.quick if quick else benchmark.full
    if template is None:
        return "of a full run"
    missing = [name for name, value in values.items() if value is None and f"{{{name}}}" in template]
    if missing:
        return f"needs --{missing[0]}"
    return [word.format(**values) for word in template.split()]


def run(name: str, words: list[str], out: Path) -> Done:
    """Runs a benchmark as a process of its own, in its folder of the output."""
    own = out / name
    own.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    done = subprocess.run([sys.executable, str(FOLDER / f"{name}.py"), *words], capture_output=True, text=True, cwd=own)
    seconds = time.perf_counter() - start
    (own / "printed.txt").write_text(done.stdout)
    (own / "said.txt").write_text(done.stderr)
    pictures = tuple(sorted(path.relative_to(out).as_posix() for path in own.glob("*.png")))
    found, more = read(own / f"{name}.json")
    return Done(seconds, done.returncode, done.stdout or done.stderr[-2000:], pictures, found, more)


def read(path: Path) -> tuple[figures.Figures, dict[str, Any]]:
    """The figures of a benchmark's JSON, where it writes them in the form of `figures.save`."""
    try:
        return figures.load(path)
    except (OSError, KeyError, TypeError, ValueError):
        return {}, {}


def page(machine: dict[str, Any], done: dict[str, Done], left_out: dict[str, str], worse: dict[str, float]) -> str:
    """The page, in Markdown."""
    lines = ["# Benchmarks", "", *(f"- {name}: {value}" for name, value in machine.items()), ""]
    if worse:
        lines += ["**Worse than the earlier run by more than the noise:**", ""]
        lines += [f"- {name}: {times:.2f} times" for name, times in worse.items()]
        lines += [""]
    for name, result in done.items():
        state = "" if result.status == 0 else f", **failed with status {result.status}**"
        lines += [f"## {BENCHMARKS[name].title}", "", f"`benchmarks/{name}.py`, {result.seconds:.0f} s{state}", ""]
        is_table = result.status == 0 and result.printed.lstrip().startswith("|")
        lines += [result.printed.strip()] if is_table else ["```text", result.printed.strip(), "```"]
        lines += ["", *(f"![{name}]({picture})" for picture in result.pictures), ""]
    lines += ["## Not run", "", *(f"- {name}: {why}" for name, why in left_out.items()), ""]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--compare", type=Path)
    parser.add_argument("--only", nargs="+", choices=sorted(BENCHMARKS), default=list(BENCHMARKS))
    for name in ("pairs", "photographs", "run"):
        parser.add_argument(f"--{name}", type=Path)
    arguments = parser.parse_args()
    earlier = figures.load(arguments.compare)[0] if arguments.compare else {}
    out = arguments.out.resolve()
    machine = {
        "processor": processor(),
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        **versions(),
        "setting": "quick" if arguments.quick else "full",
    }
    if arguments.device == "cuda":
        machine["GPU"] = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    done: dict[str, Done] = {}
    left_out: dict[str, str] = {}
    for name in arguments.only:
        given = {part: getattr(arguments, part) for part in ("pairs", "photographs", "run", "device")}
        values = {**given, "out": ".", "json": f"{name}.json", "threads": torch.get_num_threads()}
        words = words_of(BENCHMARKS[name], arguments.quick, {**values, **absolute(given)})
        if isinstance(words, str):
            left_out[name] = words
            continue
        print(f"{name} {' '.join(words)}", file=sys.stderr, flush=True)
        done[name] = run(name, words, out)
    found = {f"{name}: {key}": figure for name, result in done.items() for key, figure in result.figures.items()}
    worse = figures.compare(earlier, found)
    results = {
        name: {"seconds": result.seconds, "status": result.status, **result.more} for name, result in done.items()
    }
    figures.save(out / "run_all.json", found, machine=machine, benchmarks=results)
    (out / "index.md").write_text(page(machine, done, left_out, worse))
    print(json_text({"worse": worse, "failed": [name for name, result in done.items() if result.status]}))
    print(out / "index.md")
    return 1 if worse else 0


def absolute(given: dict[str, Any]) -> dict[str, Any]:
    """The paths among them, as a process in another folder finds them."""
    return {name: value.resolve() if isinstance(value, Path) else value for name, value in given.items()}


if __name__ == "__main__":
    sys.exit(main())
