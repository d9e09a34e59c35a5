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
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from timing import Variant
from variants import run_apart, save_results

PRECISIONS = ("float32", "bfloat16", "int8")
CLASSICAL = {"SIFT": "sift", "ORB": "orb"}
PLAIN = "plain float32 eager, width 1"
SIZE_HW = (480, 640)
FIGURES = {
    "repeatability": ("paper-repeatability", "repeatability"),
    "matching score": ("paper-homography", "matching_score"),
    "homographies within 3 px": ("paper-homography", "homography_accuracy_3"),
}
SPLITS = {"light": "illumination", "viewpoint": "viewpoint"}


@dataclass(frozen=True)
class Found:
    """What was measured.

    Args:
        threads: Of torch.
        versions: By package.
        seconds: Of one whole call, by variant, medians over the rounds.
        figures: By variant, name of the figure and name of the split.
    """

    threads: int
    versions: Mapping[str, str]
    seconds: Mapping[str, float]
    figures: Mapping[str, Mapping[str, Mapping[str, float]]]


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


def time_network(weights: str, precision: str, repeats: int) -> float:
    """Seconds of one whole call in this process."""
    from extract_variants import median_seconds, pictures

    from magicpoint.core.machine import keep_freed_memory

    keep_freed_memory()
    extractor, image = open_extractor(weights, precision), pictures(SIZE_HW)[0]
    return median_seconds(lambda: extractor.extract(image), repeats)


def times(variants: dict[str, tuple[str, str]], rounds: int, repeats: int) -> dict[str, float]:
    """Of the plain pipeline, of weights in number formats, by name, and of OpenCV's methods: medians over the rounds.

    A variant that fails is reported and left out.
    """
    from extract_variants import OPENCV, measure, measure_opencv

    found: dict[str, list[float]] = {}
    for _ in range(rounds):
        plain = run_apart(PLAIN, measure, Variant(plain=True), [SIZE_HW], repeats)
        seconds = {PLAIN: None if plain is None else plain[0].whole}
        for name, (weights, precision) in variants.items():
            seconds[name] = run_apart(name, time_network, weights, precision, repeats)
        for name in CLASSICAL:
            timed = run_apart(name, measure_opencv, name, [SIZE_HW], repeats) if name in OPENCV else None
            seconds[name] = None if timed is None else timed[0].whole
        for name, spent in seconds.items():
            if spent is not None:
                found.setdefault(name, []).append(spent)
    return {name: statistics.median(spent) for name, spent in found.items()}


def figures(pairs: Path, variants: dict[str, tuple[str, str]]) -> dict[str, dict[str, dict[str, float]]]:
    """By variant, figure and split."""
    from magicpoint import evaluate_pairs

    networks = {name: open_extractor(*option) for name, option in variants.items()}
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


def table(found: Found) -> str:
    """One line for each variant: milliseconds, times faster than the plain pipeline, figures."""
    seconds, plain = found.seconds, found.seconds[PLAIN]
    heads = ["ms", "ratio", *(f"{figure}, {split}" for figure in FIGURES for split in SPLITS)]
    lines = [f"{found.threads} threads, {SIZE_HW[0]}x{SIZE_HW[1]}", "| | " + " | ".join(heads) + " |"]
    lines.append("|---" * (len(heads) + 1) + "|")
    for name in seconds:
        cells = [f"{1e3 * seconds[name]:.0f}", f"{plain / seconds[name]:.1f}"]
        values = found.figures.get(name)
        cells += [f"{values[figure][split]:.3f}" for figure in FIGURES for split in SPLITS] if values else [""] * 6
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def plot(found: Found, path: Path) -> None:
    """A panel for each figure: time across, viewpoint pairs filled and light pairs hollow, a line for each weights."""
    from matplotlib.figure import Figure

    picture = Figure(figsize=(13, 4.2), layout="constrained")
    groups: dict[str, list[str]] = {}
    for name in sorted(found.figures, key=lambda name: found.seconds[name]):
        groups.setdefault(name.rsplit(" ", 1)[0], []).append(name)
    panels = picture.subplots(1, len(FIGURES))
    for axes, figure in zip(panels, FIGURES, strict=True):
        for number, (group, names) in enumerate(groups.items()):
            x = [1e3 * found.seconds[name] for name in names]
            look = {"marker": "osD^v<>"[number % 7], "color": f"C{number}", "linewidth": 1}
            for split, fill in (("light", "none"), ("viewpoint", "full")):
                y = [found.figures[name][figure][split] for name in names]
                axes.plot(x, y, fillstyle=fill, label=f"{group}, {split}", **look)
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set(title=figure, xlabel=f"ms for {SIZE_HW[0]}x{SIZE_HW[1]}, {found.threads} threads")
        axes.grid(alpha=0.3)
    picture.legend(*panels[0].get_legend_handles_labels(), loc="outside right center", fontsize="small")
    picture.savefig(path, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--weights", nargs="+", default=["superpoint", "superpoint-small", "superpoint-tiny"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    import torch

    from magicpoint.core.machine import versions

    pairs = itertools.product(arguments.weights, PRECISIONS)
    variants = {f"{label(weights)} {precision}": (weights, precision) for weights, precision in pairs}
    seconds = times(variants, arguments.rounds, arguments.repeats)
    chosen = {name: option for name, option in variants.items() if name in seconds}
    found = Found(torch.get_num_threads(), versions(), seconds, figures(arguments.pairs, chosen))
    print(table(found))
    if arguments.out is not None:
        save_results(found, arguments.out, "speed_accuracy", plot)


if __name__ == "__main__":
    main()
