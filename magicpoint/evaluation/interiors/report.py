"""An evaluation on rendered rooms as a table and a folder of files."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AbstractContextManager
from pathlib import Path

from ...core.files import AnyPath, write_text
from ...core.plain import json_text
from ..outputs import claimed_report
from ..tables import aligned, as_text
from .results import InteriorsEvaluation, InteriorsMethodResult

INTERIORS_JSON = "interiors.json"
INTERIORS_TABLE = "interiors.txt"
_BEGINS = "Rendered rooms: "


def claimed_interiors_report(out: AnyPath | None, weights: Collection[str]) -> AbstractContextManager[None]:
    """Keeps a folder for `write_interiors_report` on networks of these hashes, see `outputs.claimed_report`."""
    return claimed_report(out, "interiors", (), _BEGINS, ("photographs", "results"), weights)


def write_interiors_report(evaluation: InteriorsEvaluation, out: AnyPath) -> None:
    """Writes the table and the JSON file of an evaluation to a folder.

    Raises:
        OSError: A file cannot be written.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / INTERIORS_TABLE, format_interiors(evaluation) + "\n")
    write_text(out / INTERIORS_JSON, json_text(evaluation))


def format_interiors(evaluation: InteriorsEvaluation) -> str:
    """The measures of each method, as aligned Markdown."""
    protocol = evaluation.protocol
    width, height = protocol.interior.image_size
    preamble = (
        f"{_BEGINS}{protocol.rooms} pairs of views of {height}x{width}, each of a room of its own papered with "
        f"{evaluation.photographs} photographs.\n"
        f"The best {protocol.max_keypoints} keypoints of each image. Repeatability (one to one), matches and matching "
        f"score within {protocol.tolerance:g} px of the place that depth and pose give.\n"
        f"Pose: OpenCV USAC_MAGSAC of the essential matrix, {protocol.inlier_threshold:g} px; the larger of the errors "
        "of rotation and direction."
    )
    thresholds = protocol.pose_thresholds
    header = ["method", "repeatability", "error px", "matches right", "matching score"]
    header += [f"pose {t}°" for t in thresholds] + [f"AUC {t}°" for t in thresholds] + ["median pose error"]
    rows = [[name, *_cells(result, thresholds)] for name, result in evaluation.results.items()]
    return f"{preamble}\n\n{aligned(header, rows)}"


def _cells(result: InteriorsMethodResult, thresholds: tuple[int, ...]) -> list[str]:
    figures = [result.repeatability, result.localization_error, result.matching_accuracy, result.matching_score]
    figures += [result.pose_accuracy[t] for t in thresholds] + [result.pose_auc[t] for t in thresholds]
    return [*map(as_text, figures), f"{as_text(result.pose_error_median, 2)}°"]
