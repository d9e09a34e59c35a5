"""An evaluation of robustness as tables, curves and a folder of files."""

from __future__ import annotations

import math
from collections.abc import Collection
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ...core.files import AnyPath, write_text
from ...core.plain import json_text
from ...io.images import write_png
from ..outputs import TITLE, claimed_report
from ..tables import aligned, as_text
from .changes import CHANGES
from .results import RobustnessEvaluation

ROBUSTNESS_JSON = "robustness.json"
ROBUSTNESS_TABLE = "robustness.txt"
ROBUSTNESS_CURVES = "robustness.png"
MEASURES = {
    "repeatability": "repeatability (3 px)",
    "matching_score": "matching score (3 px)",
    "homography_accuracy": "homographies within 3 px",
}
"""What is drawn and tabled, each a row of panels, and a table for each change."""

_BEGINS = "Robustness: "


def claimed_robustness_report(out: AnyPath | None, weights: Collection[str]) -> AbstractContextManager[None]:
    """Keeps a folder for `write_robustness_report` on networks of these hashes, see `outputs.claimed_report`."""
    return claimed_report(out, "robustness", [ROBUSTNESS_CURVES], _BEGINS, ("photographs", "curves"), weights)


def write_robustness_report(evaluation: RobustnessEvaluation, out: AnyPath) -> None:
    """Writes the tables, the curves and the JSON file of an evaluation to a folder.

    Raises:
        OSError: A file cannot be written.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / ROBUSTNESS_TABLE, format_robustness(evaluation) + "\n")
    write_png(out / ROBUSTNESS_CURVES, draw_robustness(evaluation), TITLE)
    write_text(out / ROBUSTNESS_JSON, json_text(evaluation))


def format_robustness(evaluation: RobustnessEvaluation) -> str:
    """A table for each change and measure, as aligned Markdown."""
    protocol = evaluation.protocol
    blocks = [
        f"{_BEGINS}{evaluation.photographs} photographs, each beside itself under one change at a time.\n"
        f"The best {protocol.max_keypoints} keypoints of each image, NMS {protocol.nms_radius}; repeatability (one to "
        "one), matching score and homographies within 3 px."
    ]
    for change, curves in evaluation.curves.items():
        for measure in _measured(evaluation):
            shown = {name: points for name, points in curves.items() if getattr(points[0], measure) is not None}
            strengths = [f"{point.strength:g}" for point in next(iter(shown.values()))]
            rows = [[name, *(as_text(getattr(p, measure), 2) for p in points)] for name, points in shown.items()]
            unit = CHANGES[change].unit
            blocks.append(f"{change} ({unit}): {MEASURES[measure]}\n\n{aligned(['method', *strengths], rows)}")
    return "\n\n".join(blocks)


def draw_robustness(evaluation: RobustnessEvaluation) -> NDArray[np.uint8]:
    """Curves of all methods, a column for each change and a row for each measure; uint8 (H, W, 3), red first."""
    changes, measures = list(evaluation.curves), _measured(evaluation)
    half = math.ceil(len(changes) / 2)
    figure = Figure(figsize=(3.4 * half, 5.6 * len(measures)), dpi=90, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    panels = figure.subplots(2 * len(measures), half, squeeze=False)
    for row, measure in enumerate(measures):
        for number in range(2 * half):
            panel = panels[2 * row + number // half][number % half]
            if number < len(changes):
                _draw_panel(panel, evaluation, changes[number], measure)
            else:
                panel.axis("off")
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    canvas.draw()  # type: ignore[no-untyped-call]
    return np.array(canvas.buffer_rgba())[..., :3]  # type: ignore[no-untyped-call]


def _draw_panel(panel: Axes, evaluation: RobustnessEvaluation, change: str, measure: str) -> None:
    for number, (name, points) in enumerate(evaluation.curves[change].items()):
        values = [getattr(point, measure) for point in points]
        if values[0] is not None:
            strengths = [point.strength for point in points]
            panel.plot(strengths, values, color=f"C{number % 10}", marker="o", markersize=3, label=name)
    panel.set(xlabel=CHANGES[change].unit, ylim=(0, 1.02))
    panel.set_title(f"{change}: {MEASURES[measure]}", fontsize=9)
    panel.grid(alpha=0.3)
    if change == "jpeg":
        panel.invert_xaxis()


def _measured(evaluation: RobustnessEvaluation) -> list[str]:
    """The measures that at least one method has."""
    points = [points[0] for curves in evaluation.curves.values() for points in curves.values()]
    return [measure for measure in MEASURES if any(getattr(point, measure) is not None for point in points)]
