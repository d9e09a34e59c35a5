"""An evaluation on labelled images as a table, as JSON and as a folder of files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...core.files import AnyPath, write_text
from ...core.plain import as_plain, json_text
from ..tables import aligned, as_text
from .results import LabelsEvaluation

LABELS_JSON = "labels.json"
LABELS_TABLE = "labels.txt"


def write_labels_report(evaluation: LabelsEvaluation, out: AnyPath) -> None:
    """Writes an evaluation to a folder, `labels.json` and `labels.txt`.

    Raises:
        OSError: A file cannot be written.
    """
    out = Path(out)
    write_text(out / LABELS_TABLE, format_labels_evaluation(evaluation) + "\n")
    write_text(out / LABELS_JSON, json_text(labels_as_plain(evaluation)))


def labels_as_plain(evaluation: LabelsEvaluation) -> dict[str, Any]:
    """The layout of the JSON file."""
    return {"dataset": "labels", **as_plain(evaluation)}


def format_labels_evaluation(evaluation: LabelsEvaluation) -> str:
    """The measures of each method at each tolerance, as aligned Markdown."""
    everything = " (all of them: a network that was trained on these has seen them)"
    held_out = everything if evaluation.holdout is None else f", those held out with a share of {evaluation.holdout:g}"
    sources: dict[str, list[str]] = {}
    for name, method in evaluation.methods.items():
        sources.setdefault(method.threshold_from, []).append(name)
    thresholds = "; ".join(f"{source}: {', '.join(names)}" for source, names in sources.items())
    blocks = [
        f"{evaluation.images} images of {evaluation.labels}{held_out}, with {evaluation.points} points.\n"
        f"Detections are matched one to one to the points; nothing counts within {evaluation.border} px of the edge or "
        f"where an image is masked.\nAverage precision (mAP) is pooled over the images. Thresholds of all but mAP: "
        f"{thresholds}."
    ]
    for tolerance in next(iter(evaluation.methods.values())).measures:
        rows = []
        for name, method in evaluation.methods.items():
            found = method.measures[tolerance]
            figures = (found.ap, found.precision, found.recall, found.localization_error)
            threshold, points = f"{method.threshold:.3g}", as_text(found.keypoints_per_image, 1)
            rows.append([name, as_text(figures[0]), threshold, *map(as_text, figures[1:]), points])
        header = ["method", "mAP", "threshold", "precision", "recall", "error px", "points/image"]
        blocks.append(f"within {tolerance} px\n\n{aligned(header, rows)}")
    return "\n\n".join(blocks)
