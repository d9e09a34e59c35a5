"""Times extraction: the network on each backend and precision, the plain float32 eager pipeline, SIFT, ORB and AKAZE.

    python benchmarks/extract_speed.py [--rounds 3] [--repeats 5] [--out FOLDER]

All see the same images of 480x640 and 240x320 and keep 1000 keypoints. Every variant runs in a process of its own,
since the allocator's setting and the largest memory concern the whole process, and the variants take turns, so that a
change of the machine's speed meets all of them. The folder gets extract_speed.json and extract_speed.png.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

from variants import run_apart, save_results

SIZES = ((480, 640), (240, 320))
WIDTHS = (1.0, 0.5, 0.25)
PLAIN = "plain float32 eager, Python NMS, width 1"
COLUMNS = ("network", "decoding", "sampling", "whole", "whole without descriptors")


def all_variants() -> dict[str, dict[str, Any]]:
    """Options of `extract_variants.measure` by the variant's name."""
    import torch
    from extract_variants import OPENCV

    found: dict[str, dict[str, Any]] = {PLAIN: {"plain": True, "width": 1.0, "device": "cpu"}}
    for width in WIDTHS:
        base = {"width": width, "device": "cpu"}
        for precision in ("float32", "bfloat16", "int8"):
            options = {**base, "precision": precision}
            found[f"torch {precision}, width {width:g}"] = options
            found[f"torch {precision}, memory kept, width {width:g}"] = {**options, "keep_memory": True}
        found[f"onnxruntime float32, width {width:g}"] = {**base, "precision": "float32", "backend": "onnxruntime"}
    if torch.cuda.is_available():
        found["CUDA plain float32 eager, width 1"] = {"plain": True, "width": 1.0, "device": "cuda"}
        for precision in ("float32", "bfloat16", "float16"):
            found[f"CUDA {precision}, width 1"] = {"width": 1.0, "device": "cuda", "precision": precision}
    return {**found, **{name: {} for name in OPENCV}}


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """The medians over the rounds; a variant that fails is reported and left out."""
    import torch
    from extract_variants import operations

    from magicpoint.core.machine import versions

    chosen = all_variants()
    agreements = run_apart(__file__, "agreements", ["agreements", {}, arguments.repeats]) or {}
    rounds: dict[str, list[Any]] = {}
    for _ in range(arguments.rounds):
        for name, options in {"peaks": {}, **chosen}.items():
            timed = run_apart(__file__, name, [name, options, arguments.repeats])
            if timed is not None:
                rounds.setdefault(name, []).append(timed)
    peaks = rounds.pop("peaks")
    results = {
        name: {size: _median_of([found[size] for found in rows]) for size in rows[0]} for name, rows in rounds.items()
    }
    count = {f"width {width:g}, {_text(size)}": operations(width, True, size) for width in WIDTHS for size in SIZES}
    return {
        "threads": torch.get_num_threads(),
        "versions": versions(),
        "peaks": {key: max(peak[key] for peak in peaks) for key in peaks[0]},
        "operations": count,
        "agreements": agreements,
        "options": chosen,
        "results": results,
    }


def _median_of(rows: list[dict[str, float]]) -> dict[str, float]:
    return {key: statistics.median(row[key] for row in rows) for key in rows[0]}


def _text(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def table(found: dict[str, Any]) -> str:
    """Milliseconds, and how many times faster than the plain pipeline the whole call with descriptors is."""
    lines = [f"{found['threads']} threads; matrix products reach, in Gop/s:"]
    lines[0] += "".join(f" {name} {value / 1e9:.0f}" for name, value in found["peaks"].items())
    for size in map(_text, SIZES):
        lines += ["", f"{size}, 1000 keypoints; times in ms"]
        heads = ("network", "decoding", "sampling", "whole", "no desc.", "images/s", "MB", "points", "ratio", "of peak")
        lines.append(f"{'':42s}" + "".join(f"{head:>10s}" for head in heads))
        plain = found["results"][PLAIN][size]["whole"]
        for name, by_size in found["results"].items():
            row = by_size[size]
            cells = [f"{1e3 * row[column]:.2f}" if column in row else "" for column in COLUMNS]
            cells += [f"{row['throughput']:.1f}", f"{row['memory']:.0f}", f"{row['keypoints']:.0f}"]
            cells += [f"{plain / row['whole']:.2f}", _share(found, name, size)]
            lines.append(f"{name:42s}" + "".join(f"{cell:>10s}" for cell in cells))
    lines += ["", "Operations of the network with descriptors (a multiplication and an addition are two):"]
    lines += [f"  {name}: {count / 1e9:.2f} G" for name, count in found["operations"].items()]
    lines += ["", "Of the plain network's keypoints are found, and the descriptors' cosine, mean and lowest:"]
    for name, agreement in found["agreements"].items():
        cosines = [agreement["mean_cosine"], agreement["lowest_cosine"]]
        text = "no descriptors" if cosines[0] is None else " ".join(f"{cosine:.5f}" for cosine in cosines)
        lines.append(f"  {name}: {agreement['found']:.2%} of {agreement['keypoints']}; {text}")
    return "\n".join(lines)


def _share(found: dict[str, Any], name: str, size: str) -> str:
    options = found["options"][name]
    if options.get("device") != "cpu":
        return ""
    count = found["operations"][f"width {options['width']:g}, {size}"]
    reached = count / found["results"][name][size]["network"]
    return f"{reached / found['peaks'][options.get('precision', 'float32')]:.0%}"


def plot(found: dict[str, Any], path: Path) -> None:
    """Bars of the whole call's time at the first size."""
    from matplotlib.figure import Figure

    size = _text(SIZES[0])
    rows = sorted(((by_size[size]["whole"] * 1e3, name) for name, by_size in found["results"].items()), reverse=True)
    figure = Figure(figsize=(9, 0.25 * len(rows) + 0.7), layout="constrained")
    axes = figure.subplots()
    colours = {PLAIN: "C3", **{name: "C7" for name, options in found["options"].items() if not options}}
    bars = axes.barh(
        [name for _, name in rows], [time for time, _ in rows], color=[colours.get(name, "C0") for _, name in rows]
    )
    axes.bar_label(bars, fmt="%.1f", padding=2)
    axes.set(xscale="log", xlabel=f"ms for one image of {size} with descriptors, {found['threads']} threads")
    axes.margins(x=0.1, y=0.01)
    figure.savefig(path)


def _measure(name: str, options: dict[str, Any], repeats: int) -> dict[str, Any]:
    from extract_variants import agreements, measure, peaks

    if name in ("peaks", "agreements"):
        return peaks() if name == "peaks" else agreements()
    return {_text(size): measure(name, options, size, repeats) for size in SIZES}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--variant", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.variant is not None:
        print(json.dumps(_measure(*json.loads(arguments.variant))))
        return
    found = run(arguments)
    print(table(found))
    if arguments.out is not None:
        save_results(found, arguments.out, "extract_speed", plot)


if __name__ == "__main__":
    main()
