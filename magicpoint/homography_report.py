"""An evaluation on image pairs as tables, a JSON file and plots."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from .overlay import write_png
from .tables import aligned, as_text, write_text

JSON_FILE = "homography.json"
TABLE_FILE = "homography.txt"

_DETECTION = {
    "repeatability": "repeatability",
    "repeatability_many_to_one": "(many to one)",
    "localization_error": "error px",
    "keypoints": "keypoints",
}
_MATCHING = {"matching_score": "matching score", "matching_accuracy_3": "MMA 3 px", "nn_map": "NN mAP"}


def write_homography_report(evaluation: Mapping[str, Any], out: Path) -> Path:
    """Writes an evaluation of `evaluate_homography.evaluate_methods` to a folder and prints its tables.

    Args:
        evaluation: With at least one protocol and one method.
        out: See `evaluate_homography.evaluate_pairs` for the files.

    Returns:
        The path of the JSON file.

    Raises:
        OSError: A file cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    table = format_tables(evaluation)
    print(table)
    write_text(out / TABLE_FILE, table + "\n")
    for protocol in evaluation["protocols"]:
        write_png(out / f"homography_{protocol}.png", draw_protocol(evaluation, protocol))
    path = out / JSON_FILE
    write_text(path, json.dumps(evaluation, indent=1, allow_nan=False) + "\n")
    return path


def format_tables(evaluation: Mapping[str, Any]) -> str:
    """For each protocol, suppression and kind of change the measures of each method, as aligned Markdown."""
    blocks = [_preamble(evaluation)]
    for protocol, radii in evaluation["results"].items():
        for radius, methods in radii.items():
            for change in _changes(evaluation):
                title = f"{protocol}, {radius.upper()}, {change}"
                blocks.append(f"{title}: detection\n\n{_detection_table(methods, change)}")
                if any("matching_score" in method[change] for method in methods.values()):
                    thresholds = evaluation["settings"]["homography_thresholds"]
                    blocks.append(f"{title}: matching\n\n{_matching_table(methods, change, thresholds)}")
    return "\n\n".join(blocks)


def _preamble(evaluation: Mapping[str, Any]) -> str:
    settings, bootstrap = evaluation["settings"], evaluation["settings"]["bootstrap"]
    views = [sequence["views"] for sequence in evaluation["sequences"].values()]
    protocols = "\n".join(
        f"{name}: {'full size' if protocol['size'] is None else '{1}x{0}'.format(*protocol['size'])}, "
        f"the best {protocol['max_keypoints']} keypoints of each image."
        for name, protocol in evaluation["protocols"].items()
    )
    return (
        f"Image pairs with known homographies: {sum(map(len, views))} pairs of {len(views)} scenes.\n"
        f"{protocols}\n"
        f"Repeatability (one to one), matching score and NN mAP within {settings['tolerance']:g} px. Matches: "
        f"{settings['matching']}. Homographies: {settings['estimator']}.\n"
        f"In brackets the {bootstrap['level']:.0%} bootstrap interval over pairs; pairs of a scene are alike, so with "
        "few scenes it is too narrow (the JSON file has the one over scenes, and the result of each pair)."
    )


def _changes(evaluation: Mapping[str, Any]) -> list[str]:
    """The kinds of change of which there are pairs."""
    return sorted({sequence["change"] for sequence in evaluation["sequences"].values()})


def _detection_table(methods: Mapping[str, Any], change: str) -> str:
    rows = []
    for name, method in methods.items():
        measures = method[change]
        cells = [_with_interval(measures["repeatability"])]
        cells += [as_text(measures[key]["mean"]) for key in ("repeatability_many_to_one", "localization_error")]
        rows.append([name, *cells, as_text(measures["keypoints"]["mean"], 0)])
    return aligned(["method", *_DETECTION.values()], rows)


def _matching_table(methods: Mapping[str, Any], change: str, thresholds: Sequence[int]) -> str:
    """Of the methods that have descriptors."""
    header = ["method", *_MATCHING.values()]
    header += [f"homography {t} px" for t in thresholds] + [f"AUC {t} px" for t in thresholds]
    rows = []
    for name, method in methods.items():
        measures = method[change]
        if "matching_score" in measures:
            keys = [*_MATCHING, *(f"homography_accuracy_{t}" for t in thresholds)]
            areas = [as_text(measures[f"homography_auc_{t}"]["mean"]) for t in thresholds]
            rows.append([name, *(_with_interval(measures[key]) for key in keys), *areas])
    return aligned(header, rows)


def _with_interval(measure: Mapping[str, Any]) -> str:
    if measure["mean"] is None:
        return "-"
    lower, upper = measure["interval"]
    return f"{measure['mean']:.3f} [{lower:.2f}, {upper:.2f}]"


def draw_protocol(evaluation: Mapping[str, Any], protocol: str) -> NDArray[np.uint8]:
    """Plots of one protocol: bars with intervals, and curves of the mean matching accuracy where there are any.

    Returns:
        uint8 (H, W, 3), red first; a row for each kind of change.
    """
    radii = evaluation["results"][protocol]
    panels = [(methods, "repeatability", f"repeatability, {radius.upper()}") for radius, methods in radii.items()]
    matching = [methods for methods in radii.values() if _described(methods)][:1]
    panels += [(methods, "matching_score", "matching score") for methods in matching]
    panels += [(methods, "homography_accuracy_3", "homography within 3 px") for methods in matching]
    columns = len(panels) + len(matching)
    changes = _changes(evaluation)
    figure = Figure(figsize=(4.2 * columns, 3.6 * len(changes)), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(len(changes), columns, squeeze=False)
    colours = {name: f"C{number % 10}" for number, name in enumerate(evaluation["methods"])}
    for row, change in zip(axes, changes, strict=True):
        for panel, (methods, measure, title) in zip(row, panels, strict=False):
            _draw_bars(panel, methods, change, measure, colours)
            panel.set_title(f"{change}: {title}", fontsize=10)
        for panel, methods in zip(row[len(panels) :], matching, strict=True):
            _draw_accuracy(panel, methods, change, evaluation["settings"]["matching_thresholds"], colours)
            panel.set_title(f"{change}: mean matching accuracy", fontsize=10)
    canvas.draw()  # type: ignore[no-untyped-call]
    return np.array(canvas.buffer_rgba())[..., :3]  # type: ignore[no-untyped-call]


def _described(methods: Mapping[str, Any]) -> list[str]:
    return [name for name, method in methods.items() if "matching_score" in method["all"]]


def _draw_bars(panel: Axes, methods: Mapping[str, Any], change: str, measure: str, colours: Mapping[str, str]) -> None:
    shown = {
        name: method[change][measure]
        for name, method in methods.items()
        if measure in method[change] and method[change][measure]["mean"] is not None
    }
    for place, (name, values) in enumerate(shown.items()):
        lower, upper = values["interval"]
        panel.bar(place, values["mean"], color=colours[name])
        panel.plot([place, place], [lower, upper], color="black", linewidth=1.5)
    panel.set_xticks(range(len(shown)), list(shown), rotation=45, ha="right", fontsize=9)
    panel.set_ylim(0, 1)
    panel.grid(alpha=0.3, axis="y")


def _draw_accuracy(
    panel: Axes, methods: Mapping[str, Any], change: str, thresholds: Sequence[int], colours: Mapping[str, str]
) -> None:
    for name in _described(methods):
        means = [methods[name][change][f"matching_accuracy_{t}"]["mean"] for t in thresholds]
        if None not in means:
            panel.plot(thresholds, means, color=colours[name], label=name, linewidth=1.8)
            panel.legend(fontsize=9, loc="lower right")
    panel.set(xlabel="pixels", ylim=(0, 1))
    panel.grid(alpha=0.3)
