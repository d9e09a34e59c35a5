"""An evaluation on image pairs as plots."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ...data.hpatches import Change
from .results import PairsEvaluation, PairsMethodResult

Methods = Mapping[str, PairsMethodResult]


def draw_protocol(evaluation: PairsEvaluation, protocol: str) -> NDArray[np.uint8]:
    """Plots of one protocol: bars with intervals, and curves of the mean matching accuracy where there are any.

    Returns:
        uint8 (H, W, 3), red first; a row for each kind of change.
    """
    radii = evaluation.results[protocol]
    panels = [(methods, "repeatability", f"repeatability, NMS {radius}") for radius, methods in radii.items()]
    matching = [methods for methods in radii.values() if _described(methods)][:1]
    panels += [(methods, "matching_score", "matching score") for methods in matching]
    panels += [(methods, "homography_accuracy_3", "homography within 3 px") for methods in matching]
    columns, changes = len(panels) + len(matching), evaluation.changes
    figure = Figure(figsize=(4.2 * columns, 3.6 * len(changes)), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(len(changes), columns, squeeze=False)
    colours = {name: f"C{number % 10}" for number, name in enumerate(evaluation.methods)}
    for row, change in zip(axes, changes, strict=True):
        for panel, (methods, measure, title) in zip(row, panels, strict=False):
            _draw_bars(panel, methods, change, measure, colours)
            panel.set_title(f"{change}: {title}", fontsize=10)
        for panel, methods in zip(row[len(panels) :], matching, strict=True):
            _draw_accuracy(panel, methods, change, evaluation.settings.matching_thresholds, colours)
            panel.set_title(f"{change}: mean matching accuracy", fontsize=10)
    canvas.draw()  # type: ignore[no-untyped-call]
    return np.array(canvas.buffer_rgba())[..., :3]  # type: ignore[no-untyped-call]


def _described(methods: Methods) -> list[str]:
    return [name for name, method in methods.items() if "matching_score" in method.splits["all"]]


def _draw_bars(panel: Axes, methods: Methods, change: Change, measure: str, colours: Mapping[str, str]) -> None:
    of_change = {name: method.splits[change] for name, method in methods.items()}
    shown = {
        name: measures[measure]
        for name, measures in of_change.items()
        if measure in measures and math.isfinite(measures[measure].mean)
    }
    for place, (name, value) in enumerate(shown.items()):
        panel.bar(place, value.mean, color=colours[name])
        panel.plot([place, place], value.interval, color="black", linewidth=1.5)
    panel.set_xticks(range(len(shown)), list(shown), rotation=45, ha="right", fontsize=9)
    panel.set_ylim(0, 1)
    panel.grid(alpha=0.3, axis="y")


def _draw_accuracy(
    panel: Axes, methods: Methods, change: Change, thresholds: Sequence[int], colours: Mapping[str, str]
) -> None:
    for name in _described(methods):
        means = [methods[name].splits[change][f"matching_accuracy_{t}"].mean for t in thresholds]
        if all(map(math.isfinite, means)):
            panel.plot(thresholds, means, color=colours[name], label=name, linewidth=1.8)
            panel.legend(fontsize=9, loc="lower right")
    panel.set(xlabel="pixels", ylim=(0, 1))
    panel.grid(alpha=0.3)
