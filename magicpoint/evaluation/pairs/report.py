"""An evaluation on image pairs as tables and a folder of files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...core.files import write_text
from ...io.images import write_png
from ..tables import aligned, as_text
from .figures import draw_protocol, kinds_of_change

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
    """Writes an evaluation of `pairs.run.evaluate_methods` to a folder and prints its tables.

    Args:
        evaluation: With at least one protocol and one method.
        out: See `jobs.evaluate.evaluate_pairs` for the files.

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
            for change in kinds_of_change(evaluation):
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
