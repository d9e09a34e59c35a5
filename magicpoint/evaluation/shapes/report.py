"""An evaluation on synthetic shapes as a table and a folder of files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...core.files import write_text
from ...data.pinned_images import CONDITIONS
from ...io.images import write_png
from ..methods.for_shapes import Detector
from ..tables import aligned, as_text
from .figures import draw_curves, draw_examples

JSON_FILE = "synthetic.json"
TABLE_FILE = "synthetic.txt"


def write_report(evaluation: Mapping[str, Any], detector: Detector, out: Path) -> Path:
    """Writes an evaluation to a folder and prints its table.

    Args:
        evaluation: From ``shapes.run.evaluate_detectors``.
        detector: One of its detectors, whose detections the example sheets show.
        out: See ``jobs.evaluate.evaluate_synthetic`` for the files.

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
