"""Times extraction: the network on each backend and precision, the plain float32 eager pipeline, SIFT, ORB and AKAZE.

    python benchmarks/extract_speed.py [--rounds 3] [--repeats 5] [--out FOLDER]

All see the same images of 480x640 and 240x320 and keep 1000 keypoints. Every variant runs in a process of its own,
since the allocator's setting and the largest memory concern the whole process, and the variants take turns, so that a
change of the machine's speed meets all of them. The folder gets extract_speed.json and extract_speed.png.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from timing import Timing, Variant, median_of
from variants import run_apart, save_results

if TYPE_CHECKING:
    from magicpoint.measures.agreement import Agreement

SIZES_HW = ((480, 640), (240, 320))
WIDTHS = (1.0, 0.5, 0.25)
PLAIN = "plain float32 eager, Python NMS, width 1"


@dataclasses.dataclass(frozen=True)
class Found:
    """What was measured.

    Args:
        threads: Of torch.
        versions: By package.
        peaks: Operations of matrix products in a second, by number format.
        operations: Of the network with descriptors for one image, by width and size.
        agreements: By weights, number format and tolerance.
        variants: By name; None is an OpenCV method of that name.
        timings: By variant and size, medians over the rounds.
    """

    threads: int
    versions: Mapping[str, str]
    peaks: Mapping[str, float]
    operations: Mapping[str, int]
    agreements: Mapping[str, Agreement]
    variants: Mapping[str, Variant | None]
    timings: Mapping[str, Mapping[str, Timing]]


def all_variants() -> dict[str, Variant | None]:
    """By name; None for an OpenCV method of that name."""
    import torch
    from extract_variants import OPENCV

    found: dict[str, Variant | None] = {PLAIN: Variant(plain=True)}
    for width in WIDTHS:
        for precision in ("float32", "bfloat16", "int8"):
            variant = Variant(width, precision=precision)
            found[f"torch {precision}, width {width:g}"] = variant
            kept = dataclasses.replace(variant, keep_memory=True)
            found[f"torch {precision}, memory kept, width {width:g}"] = kept
        found[f"onnxruntime float32, width {width:g}"] = Variant(width, backend="onnxruntime")
    if torch.cuda.is_available():
        found["CUDA plain float32 eager, width 1"] = Variant(device="cuda", plain=True)
        for precision in ("float32", "bfloat16", "float16"):
            found[f"CUDA {precision}, width 1"] = Variant(device="cuda", precision=precision)
    return {**found, **dict.fromkeys(OPENCV)}


def run(rounds: int, repeats: int) -> Found:
    """The medians over the rounds; a variant that fails is reported and left out."""
    import torch
    from extract_variants import agreements, measure, measure_opencv, operations, peaks

    from magicpoint.core.machine import versions

    variants = all_variants()
    agreed = run_apart("agreements", agreements) or {}
    reached: list[dict[str, float]] = []
    timed: dict[str, dict[str, list[Timing]]] = {}
    for _ in range(rounds):
        peak = run_apart("peaks", peaks)
        reached += [] if peak is None else [peak]
        for name, variant in variants.items():
            if variant is None:
                timings = run_apart(name, measure_opencv, name, SIZES_HW, repeats)
            else:
                timings = run_apart(name, measure, variant, SIZES_HW, repeats)
            for size_hw, timing in zip(SIZES_HW, timings or [], strict=False):
                timed.setdefault(name, {}).setdefault(_text(size_hw), []).append(timing)
    return Found(
        threads=torch.get_num_threads(),
        versions=versions(),
        peaks={key: max(peak[key] for peak in reached) for key in reached[0]},
        operations={
            _width_and_size(width, _text(size_hw)): operations(width, True, size_hw)
            for width in WIDTHS
            for size_hw in SIZES_HW
        },
        agreements=agreed,
        variants=variants,
        timings={name: {size: median_of(rows) for size, rows in sizes.items()} for name, sizes in timed.items()},
    )


def _text(size_hw: tuple[int, int]) -> str:
    return f"{size_hw[0]}x{size_hw[1]}"


def _width_and_size(width: float, size: str) -> str:
    return f"width {width:g}, {size}"


def table(found: Found) -> str:
    """Milliseconds, and how many times faster than the plain pipeline the whole call with descriptors is."""
    lines = [f"{found.threads} threads; matrix products reach, in Gop/s:"]
    lines[0] += "".join(f" {name} {value / 1e9:.0f}" for name, value in found.peaks.items())
    for size in map(_text, SIZES_HW):
        lines += ["", f"{size}, 1000 keypoints; times in ms"]
        heads = ("network", "decoding", "sampling", "whole", "no desc.", "images/s", "MB", "points", "ratio", "of peak")
        lines.append(f"{'':42s}" + "".join(f"{head:>10s}" for head in heads))
        plain = found.timings[PLAIN][size].whole
        for name, by_size in found.timings.items():
            cells = _cells(found, name, by_size[size], size, plain)
            lines.append(f"{name:42s}" + "".join(f"{cell:>10s}" for cell in cells))
    lines += ["", "Operations of the network with descriptors (a multiplication and an addition are two):"]
    lines += [f"  {name}: {count / 1e9:.2f} G" for name, count in found.operations.items()]
    lines += ["", "Of the plain network's keypoints are found, and the descriptors' cosine, mean and lowest:"]
    for name, agreement in found.agreements.items():
        cosines = (agreement.mean_cosine, agreement.lowest_cosine)
        text = "no descriptors" if cosines[0] is None else " ".join(f"{cosine:.5f}" for cosine in cosines)
        lines.append(f"  {name}: {agreement.found:.2%} of {agreement.keypoints}; {text}")
    return "\n".join(lines)


def _cells(found: Found, name: str, timing: Timing, size: str, plain: float) -> list[str]:
    seconds = (timing.network, timing.decoding, timing.sampling, timing.whole, timing.whole_without_descriptors)
    cells = ["" if spent is None else f"{1e3 * spent:.2f}" for spent in seconds]
    cells += [f"{timing.images_per_second:.1f}", f"{timing.megabytes:.0f}", f"{timing.keypoints:.0f}"]
    return [*cells, f"{plain / timing.whole:.2f}", _share(found, name, timing, size)]


def _share(found: Found, name: str, timing: Timing, size: str) -> str:
    """Of the matrix products' peak that the network reaches; empty where that is not known."""
    variant = found.variants[name]
    if variant is None or timing.network is None or variant.device != "cpu":
        return ""
    reached = found.operations[_width_and_size(variant.width, size)] / timing.network
    return f"{reached / found.peaks[variant.precision]:.0%}"


def plot(found: Found, path: Path) -> None:
    """Bars of the whole call's time at the first size."""
    from matplotlib.figure import Figure

    size = _text(SIZES_HW[0])
    rows = sorted(((by_size[size].whole * 1e3, name) for name, by_size in found.timings.items()), reverse=True)
    figure = Figure(figsize=(9, 0.25 * len(rows) + 0.7), layout="constrained")
    axes = figure.subplots()
    colours = {PLAIN: "C3", **{name: "C7" for name, variant in found.variants.items() if variant is None}}
    bars = axes.barh(
        [name for _, name in rows], [time for time, _ in rows], color=[colours.get(name, "C0") for _, name in rows]
    )
    axes.bar_label(bars, fmt="%.1f", padding=2)
    axes.set(xscale="log", xlabel=f"ms for one image of {size} with descriptors, {found.threads} threads")
    axes.margins(x=0.1, y=0.01)
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    found = run(arguments.rounds, arguments.repeats)
    print(table(found))
    if arguments.out is not None:
        save_results(found, arguments.out, "extract_speed", plot)


if __name__ == "__main__":
    main()
