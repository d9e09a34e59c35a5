"""How good against how fast: weights in each number format, SIFT and ORB, on pairs of photographs.

    python benchmarks/speed_accuracy.py PAIRS [--weights superpoint FILE ...] [--rounds 3] [--out FOLDER]

PAIRS is a folder in the layout of HPatches. The figures are those of `magicpoint evaluate PAIRS --dataset homography`:
repeatability at 240x320 (the best 300 keypoints, NMS 4), matching score and homographies within 3 px at 480x640 (the
best 1000). The time is that of one whole call with descriptors on a photograph of 480x640 that keeps 1000 keypoints,
beside the plain float32 eager pipeline of the network at full width, as in `extract_speed.py`: each variant in a
process of its own, taking turns. Weights are shipped names, files or folders of runs. The folder gets
speed_accuracy.json and speed_accuracy.png.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
from pathlib import Path
from typing import Any

from variants import run_apart, save_results

PRECISIONS = ("float32", "bfloat16", "int8")
CLASSICAL = {"SIFT": "sift", "ORB": "orb"}
PLAIN = "plain float32 eager, width 1"
SIZE = (480, 640)
FIGURES = {
    "repeatability": ("paper-repeatability", "repeatability"),
    "matching score": ("paper-homography", "matching_score"),
    "homographies within 3 px": ("paper-homography", "homography_accuracy_3"),
}
SPLITS = {"light": "illumination", "viewpoint": "viewpoint"}


def open_extractor(weights: str, precision: str) -> Any:
    """With settings under which every image has more than 1000 keypoints, of which the best are kept."""
    from magicpoint import DecodeSettings, Extractor
    from magicpoint.measures.detection import LOWEST_SCORE

    settings = DecodeSettings(threshold=LOWEST_SCORE, max_keypoints=1000)
    return Extractor.load(weights, settings, "cpu", precision=precision)  # type: ignore[arg-type]


def label(weights: str) -> str:
    """A name for the table: that of shipped weights, else that of the file or of the run's folder."""
    path = Path(weights)
    return path.parent.name if path.stem in ("best", "last") else path.stem


def time_call(name: str, weights: str, precision: str, repeats: int) -> float:
    """Seconds of one whole call."""
    from extract_variants import OPENCV, measure, median_seconds, pictures

    from magicpoint.core.machine import keep_freed_memory

    if name == PLAIN:
        return measure(name, {"plain": True, "width": 1.0, "device": "cpu"}, SIZE, repeats)["whole"]
    if name in OPENCV:
        return measure(name, {}, SIZE, repeats)["whole"]
    keep_freed_memory()
    extractor, image = open_extractor(weights, precision), pictures(SIZE)[0]
    return median_seconds(lambda: extractor.extract(image), repeats)


def times(variants: dict[str, tuple[str, str]], rounds: int, repeats: int) -> dict[str, float]:
    """Medians over the rounds; a variant that fails is reported and left out."""
    found: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, (weights, precision) in variants.items():
            seconds = run_apart(__file__, name, [name, weights, precision, repeats])
            if seconds is not None:
                found.setdefault(name, []).append(seconds)
    return {name: statistics.median(seconds) for name, seconds in found.items()}


def figures(pairs: Path, variants: dict[str, tuple[str, str]]) -> dict[str, dict[str, dict[str, float]]]:
    """By variant, figure and split."""
    from magicpoint import evaluate_pairs

    networks = {name: open_extractor(*option) for name, option in variants.items() if option[0]}
    protocols = sorted({protocol for protocol, _ in FIGURES.values()})
    evaluation = evaluate_pairs(pairs, None, networks, list(CLASSICAL.values()), protocols)
    return {
        name: {
            figure: {
                short: evaluation.mean(protocol, 4, CLASSICAL.get(name, name), split, measure)
                for short, split in SPLITS.items()
            }
            for figure, (protocol, measure) in FIGURES.items()
        }
        for name in [*networks, *CLASSICAL]
    }


def table(found: dict[str, Any]) -> str:
    """One line for each variant: milliseconds, times faster than the plain pipeline, figures."""
    seconds, plain = found["seconds"], found["seconds"][PLAIN]
    heads = ["ms", "ratio", *(f"{figure}, {split}" for figure in FIGURES for split in SPLITS)]
    lines = [f"{found['threads']} threads, {SIZE[0]}x{SIZE[1]}", "| | " + " | ".join(heads) + " |"]
    lines.append("|---" * (len(heads) + 1) + "|")
    for name in seconds:
        cells = [f"{1e3 * seconds[name]:.0f}", f"{plain / seconds[name]:.1f}"]
        values = found["figures"].get(name)
        cells += [f"{values[figure][split]:.3f}" for figure in FIGURES for split in SPLITS] if values else [""] * 6
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def plot(found: dict[str, Any], path: Path) -> None:
    """A panel for each figure: time across, viewpoint pairs filled and light pairs hollow, a line for each weights."""
    from matplotlib.figure import Figure

    picture = Figure(figsize=(13, 4.2), layout="constrained")
    groups: dict[str, list[str]] = {}
    for name in sorted(found["figures"], key=lambda name: found["seconds"][name]):
        groups.setdefault(name.rsplit(" ", 1)[0], []).append(name)
    panels = picture.subplots(1, len(FIGURES))
    for axes, figure in zip(panels, FIGURES, strict=True):
        for number, (group, names) in enumerate(groups.items()):
            x = [1e3 * found["seconds"][name] for name in names]
            look = {"marker": "osD^v<>"[number % 7], "color": f"C{number}", "linewidth": 1}
            for split, fill in (("light", "none"), ("viewpoint", "full")):
                y = [found["figures"][name][figure][split] for name in names]
                axes.plot(x, y, fillstyle=fill, label=f"{group}, {split}", **look)
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set(title=figure, xlabel=f"ms for {SIZE[0]}x{SIZE[1]}, {found['threads']} threads")
        axes.grid(alpha=0.3)
    picture.legend(*panels[0].get_legend_handles_labels(), loc="outside right", fontsize="small")
    picture.savefig(path, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pairs", type=Path, nargs="?")
    parser.add_argument("--weights", nargs="+", default=["superpoint", "superpoint-small", "superpoint-tiny"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--variant", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.variant is not None:
        print(time_call(*json.loads(arguments.variant)))
        return
    if arguments.pairs is None:
        parser.error("PAIRS is missing")
    import torch

    from magicpoint.core.machine import versions

    pairs = itertools.product(arguments.weights, PRECISIONS)
    variants = {f"{label(weights)} {precision}": (weights, precision) for weights, precision in pairs}
    timed = {PLAIN: ("", ""), **variants, **dict.fromkeys(CLASSICAL, ("", ""))}
    seconds = times(timed, arguments.rounds, arguments.repeats)
    found = {
        "threads": torch.get_num_threads(),
        "versions": versions(),
        "seconds": seconds,
        "figures": figures(arguments.pairs, {name: option for name, option in variants.items() if name in seconds}),
    }
    print(table(found))
    if arguments.out is not None:
        save_results(found, arguments.out, "speed_accuracy", plot)


if __name__ == "__main__":
    main()
