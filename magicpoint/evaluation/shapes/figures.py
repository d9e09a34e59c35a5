"""An evaluation on synthetic shapes as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from synthetic_shapes import SHAPES_WITH_KEYPOINTS, Sample

from ...data.pinned_images import TEST
from ...measures.detection import match_detections
from ...measures.points import is_inside
from ..methods.base import Found, ShapesMethod
from ..tables import as_text
from .results import ShapesEvaluation, ShapesProtocol

SHEET_COLUMNS = 4
ENLARGEMENT = 3
BLUE, GREEN, RED, GREY = (50, 130, 255), (40, 220, 40), (255, 60, 50), (160, 160, 160)
_FRACTION_BITS = 4


def draw_curves(evaluation: ShapesEvaluation, condition: str, tolerance: str = "strict") -> NDArray[np.uint8]:
    """One panel of precision-recall curves, of all methods, for each shape; uint8 (H, W, 3), red first."""
    shapes, methods = evaluation.test_set.shapes, evaluation.methods
    figure = Figure(figsize=(15, 7.5), dpi=100)
    figure.subplots_adjust(left=0.045, right=0.985, bottom=0.075, top=0.955, wspace=0.09, hspace=0.14)
    canvas = FigureCanvasAgg(figure)
    panels = figure.subplots(2, 4, sharex=True, sharey=True, squeeze=False).ravel()
    colours = [f"C{number}" for number in range(len(methods))]
    for panel, shape in zip(panels, shapes, strict=False):
        for (name, method), colour in zip(methods.items(), colours, strict=True):
            _draw_curve(panel, method.shapes[shape][condition].detection[tolerance].curve, colour, name)
        panel.set(title=shape.replace("_", " "), xlim=(0, 1.01), ylim=(0, 1.02), xlabel="recall", ylabel="precision")
        panel.label_outer()
        panel.grid(alpha=0.3)
    handles = [
        Line2D([], [], color=colour, label=f"{name}, mAP {as_text(method.overall[condition].detection[tolerance].ap)}")
        for (name, method), colour in zip(methods.items(), colours, strict=True)
    ]
    panels[len(shapes)].axis("off")
    title = f"{condition}, matched within {evaluation.protocol.tolerances[tolerance]:g} px"
    panels[len(shapes)].legend(handles=handles, title=title, loc="center", fontsize=12, title_fontsize=12)
    canvas.draw()  # type: ignore[no-untyped-call]
    return np.array(canvas.buffer_rgba())[..., :3]  # type: ignore[no-untyped-call]


def _draw_curve(panel: Axes, curve: Sequence[Sequence[float]], colour: str, name: str) -> None:
    if curve:
        recall, precision = np.array(curve).T
        panel.plot(recall, precision, color=colour, linewidth=1.8, label=name)


def draw_examples(evaluation: ShapesEvaluation, name: str, method: ShapesMethod, condition: str) -> NDArray[np.uint8]:
    """The first images of each shape, enlarged, with what a method finds from its threshold on.

    A blue circle is a true corner, a green dot a detection that is matched to one at the strict tolerance, a red dot a
    false one; grey is what lies in the border and does not count.

    Args:
        evaluation: Which has the method's threshold.
        name: Of the method there.
        method: Finds the keypoints.
        condition: One of `CONDITIONS`.

    Returns:
        uint8 (H, W, 3), red first; a row for each shape.
    """
    threshold = evaluation.methods[name].thresholds[condition]
    rows = []
    for shape in SHAPES_WITH_KEYPOINTS:
        samples = TEST.under_all(shape, range(SHEET_COLUMNS))[condition]
        found = method.detect([image for image, _ in samples])
        pictures = [
            _draw_example(sample, (keypoints[scores >= threshold], scores[scores >= threshold]), evaluation.protocol)
            for sample, (keypoints, scores) in zip(samples, found, strict=True)
        ]
        rows.append(np.concatenate(pictures, axis=1))
    return np.concatenate(rows)


def _draw_example(sample: Sample, detections: Found, protocol: ShapesProtocol) -> NDArray[np.uint8]:
    image, truth = sample
    height, width = image.shape
    image_size, border = (width, height), protocol.border
    outcome = match_detections(detections, truth, protocol.tolerances["strict"], border, image_size)
    enlarged = cv2.resize(image, None, fx=ENLARGEMENT, fy=ENLARGEMENT, interpolation=cv2.INTER_NEAREST)
    picture = cv2.cvtColor(np.asarray(enlarged, np.uint8), cv2.COLOR_GRAY2RGB)
    cv2.rectangle(picture, (0, 0), (picture.shape[1] - 1, picture.shape[0] - 1), GREY, 1)
    for point, counts in zip(truth, is_inside(truth, image_size, border), strict=True):
        _circle(picture, point, 7.0, BLUE if counts else GREY, 1)
    for point, distance, counted in zip(outcome.keypoints, outcome.distances, outcome.counted, strict=True):
        _circle(picture, point, 2.5, (GREEN if np.isfinite(distance) else RED) if counted else GREY, -1)
    return np.asarray(picture, np.uint8)


def _circle(picture: Any, point: Any, radius: float, colour: tuple[int, int, int], thickness: int) -> None:
    """At a place in pixels of the image, around which `ENLARGEMENT` squared pixels of the picture lie."""
    scale = 1 << _FRACTION_BITS
    x, y = ((np.asarray(point, np.float64) + 0.5) * ENLARGEMENT - 0.5) * scale
    cv2.circle(picture, (round(x), round(y)), round(radius * scale), colour, thickness, cv2.LINE_AA, _FRACTION_BITS)
