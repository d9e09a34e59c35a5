"""An evaluation as a table, a JSON file and pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from synthetic_shapes import SHAPES_WITH_KEYPOINTS

from .classical import Detector, Found
from .overlay import write_png
from .scoring import match_image, outside_border
from .tables import aligned, as_text, write_text
from .test_set import CONDITIONS, TEST, Sample

JSON_FILE = "synthetic.json"
TABLE_FILE = "synthetic.txt"

SHEET_COLUMNS = 4
ENLARGEMENT = 3
BLUE, GREEN, RED, GREY = (50, 130, 255), (40, 220, 40), (255, 60, 50), (160, 160, 160)
_FRACTION_BITS = 4


def write_report(evaluation: Mapping[str, Any], detector: Detector, out: Path) -> Path:
    """Writes an evaluation to a folder and prints its table.

    Args:
        evaluation: From ``evaluate.evaluate_detectors``.
        detector: One of its detectors, whose detections the example sheets show.
        out: See ``evaluate.evaluate_synthetic`` for the files.

    Returns:
        The path of the JSON file.

    Raises:
        OSError: A file cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    table = format_table(evaluation)
    print(table)
    write_text(out / TABLE_FILE, table + "\n")
    for condition in CONDITIONS:
        write_png(out / f"precision_recall_{condition}.png", draw_curves(evaluation, condition))
        write_png(out / f"examples_{condition}.png", draw_examples(evaluation, detector, condition))
    path = out / JSON_FILE
    write_text(path, json.dumps(evaluation, indent=1, allow_nan=False) + "\n")
    return path


def format_table(evaluation: Mapping[str, Any]) -> str:
    """The overall measures of each method, and its average precision on each shape, as aligned Markdown."""
    return "\n\n".join([_preamble(evaluation), *_digest_warnings(evaluation), *_tables(evaluation)])


def _preamble(evaluation: Mapping[str, Any]) -> str:
    test_set, protocol = evaluation["test_set"], evaluation["protocol"]
    height, width = test_set["size"]
    sources: dict[str, list[str]] = {}
    for name, method in evaluation["methods"].items():
        sources.setdefault(method["thresholds_from"], []).append(name)
    thresholds = "; ".join(f"{source}: {', '.join(names)}" for source, names in sources.items())
    pairs = protocol["repeatability"]
    return (
        f"Synthetic shapes: {test_set['images_per_shape']} images of {height}x{width} of each of "
        f"{len(test_set['shapes'])} shapes, clean and with noise.\n"
        f"Detections are matched one to one to the true corners; nothing counts within {protocol['border']} px of the "
        "edge.\nAverage precision (AP) is pooled over a shape; overall values are means over the shapes.\n"
        f"Thresholds of all but AP: {thresholds}.\n"
        f"Repeatability: {pairs['pairs_per_shape']} warped pairs of each shape, within {pairs['tolerance']:g} px, "
        "one to one (many to one)."
    )


def _digest_warnings(evaluation: Mapping[str, Any]) -> list[str]:
    """What the reader must know where the images are not those of the pinned test set."""
    test_set = evaluation["test_set"]
    if test_set["pinned_digests"] is None:
        return [f"NOTE: only {test_set['images_per_shape']} images of each shape: this is not the pinned test set."]
    return [
        f"WARNING: the {condition} renders differ from the pinned test set (pinned {pinned}, got {got}): "
        "other versions of OpenCV or NumPy. These values do not compare with published ones."
        for condition, pinned in test_set["pinned_digests"].items()
        if pinned != (got := test_set["digests"][condition])
    ]


def _tables(evaluation: Mapping[str, Any]) -> list[str]:
    methods, shapes = evaluation["methods"], evaluation["test_set"]["shapes"]
    blocks = []
    for condition in CONDITIONS:
        for protocol, tolerance in evaluation["protocol"]["tolerances"].items():
            header = ["method", "mAP", "threshold", "precision", "recall", "error px", "points/image", "repeatability"]
            rows = []
            for name, method in methods.items():
                overall = method["overall"][condition]
                names = ("ap", "precision", "recall", "localization_error", "keypoints_per_image")
                cells = [as_text(overall[protocol][measure], 1 if measure == names[-1] else 3) for measure in names]
                one, many = (as_text(overall["repeatability"][key]) for key in ("one_to_one", "many_to_one"))
                rows.append([name, cells[0], f"{method['thresholds'][condition]:.3g}", *cells[1:], f"{one} ({many})"])
            blocks.append(f"{condition}, {protocol} protocol ({tolerance:g} px)\n\n{aligned(header, rows)}")
        for protocol in evaluation["protocol"]["tolerances"]:
            rows = [
                [name, *(as_text(method["shapes"][shape][condition][protocol]["ap"]) for shape in shapes)]
                for name, method in methods.items()
            ]
            blocks.append(f"{condition}, {protocol} protocol: AP by shape\n\n{aligned(['method', *shapes], rows)}")
    return blocks


def draw_curves(evaluation: Mapping[str, Any], condition: str, protocol: str = "strict") -> NDArray[np.uint8]:
    """One panel of precision-recall curves, of all methods, for each shape; uint8 (H, W, 3), red first."""
    shapes, methods = evaluation["test_set"]["shapes"], evaluation["methods"]
    figure = Figure(figsize=(15, 7.5), dpi=100)
    figure.subplots_adjust(left=0.045, right=0.985, bottom=0.075, top=0.955, wspace=0.09, hspace=0.14)
    canvas = FigureCanvasAgg(figure)
    panels = figure.subplots(2, 4, sharex=True, sharey=True, squeeze=False).ravel()
    colours = [f"C{number}" for number in range(len(methods))]
    for panel, shape in zip(panels, shapes, strict=False):
        for (name, method), colour in zip(methods.items(), colours, strict=True):
            _draw_curve(panel, method["shapes"][shape][condition][protocol]["curve"], colour, name)
        panel.set(title=shape.replace("_", " "), xlim=(0, 1.01), ylim=(0, 1.02), xlabel="recall", ylabel="precision")
        panel.label_outer()
        panel.grid(alpha=0.3)
    handles = [
        Line2D([], [], color=colour, label=f"{name}, mAP {as_text(method['overall'][condition][protocol]['ap'])}")
        for (name, method), colour in zip(methods.items(), colours, strict=True)
    ]
    panels[len(shapes)].axis("off")
    tolerance = evaluation["protocol"]["tolerances"][protocol]
    title = f"{condition}, matched within {tolerance:g} px"
    panels[len(shapes)].legend(handles=handles, title=title, loc="center", fontsize=12, title_fontsize=12)
    canvas.draw()  # type: ignore[no-untyped-call]
    return np.array(canvas.buffer_rgba())[..., :3]  # type: ignore[no-untyped-call]


def _draw_curve(panel: Axes, curve: Sequence[Sequence[float]], colour: str, name: str) -> None:
    if curve:
        recall, precision = np.array(curve).T
        panel.plot(recall, precision, color=colour, linewidth=1.8, label=name)


def draw_examples(evaluation: Mapping[str, Any], detector: Detector, condition: str) -> NDArray[np.uint8]:
    """The first images of each shape, enlarged, with what a detector finds from its threshold on.

    A blue circle is a true corner, a green dot a detection that is matched to one at the strict tolerance, a red dot a
    false one; grey is what lies in the border and does not count.

    Returns:
        uint8 (H, W, 3), red first; a row for each shape.
    """
    threshold = evaluation["methods"][detector.name]["thresholds"][condition]
    rows = []
    for shape in SHAPES_WITH_KEYPOINTS:
        samples = TEST.both(shape, range(SHEET_COLUMNS))[condition]
        found = detector.detect([image for image, _ in samples])
        pictures = [
            _draw_example(sample, (keypoints[scores >= threshold], scores[scores >= threshold]), evaluation["protocol"])
            for sample, (keypoints, scores) in zip(samples, found, strict=True)
        ]
        rows.append(np.concatenate(pictures, axis=1))
    return np.concatenate(rows)


def _draw_example(sample: Sample, detections: Found, protocol: Mapping[str, Any]) -> NDArray[np.uint8]:
    image, truth = sample
    height, width = image.shape
    size, border, tolerance = (width, height), protocol["border"], protocol["tolerances"]["strict"]
    outcome = match_image(detections, truth, tolerance, border, size)
    enlarged = cv2.resize(image, None, fx=ENLARGEMENT, fy=ENLARGEMENT, interpolation=cv2.INTER_NEAREST)
    picture = cv2.cvtColor(np.asarray(enlarged, np.uint8), cv2.COLOR_GRAY2RGB)
    cv2.rectangle(picture, (0, 0), (picture.shape[1] - 1, picture.shape[0] - 1), GREY, 1)
    for point, counts in zip(truth, outside_border(truth, border, size), strict=True):
        _circle(picture, point, 7.0, BLUE if counts else GREY, 1)
    for point, distance, counted in zip(outcome.keypoints, outcome.distances, outcome.counted, strict=True):
        _circle(picture, point, 2.5, (GREEN if np.isfinite(distance) else RED) if counted else GREY, -1)
    return np.asarray(picture, np.uint8)


def _circle(picture: Any, point: Any, radius: float, colour: tuple[int, int, int], thickness: int) -> None:
    """At a place in pixels of the image, around which ``ENLARGEMENT`` squared pixels of the picture lie."""
    scale = 1 << _FRACTION_BITS
    x, y = ((np.asarray(point, np.float64) + 0.5) * ENLARGEMENT - 0.5) * scale
    cv2.circle(picture, (round(x), round(y)), round(radius * scale), colour, thickness, cv2.LINE_AA, _FRACTION_BITS)
