"""An evaluation on image pairs as tables and a folder of files."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from ...core.files import AnyPath, write_text
from ...core.plain import json_text
from ...data.hpatches import Change
from ...io.images import write_png
from ..outputs import TITLE, claimed_report
from ..tables import aligned, as_text
from .figures import draw_protocol
from .json_file import PAIRS_JSON, pairs_as_plain
from .results import Mean, PairsEvaluation, PairsMethodResult

PAIRS_TABLE = "homography.txt"
_BEGINS = "Image pairs with known homographies: "

_DETECTION = {
    "repeatability": "repeatability",
    "repeatability_many_to_one": "(many to one)",
    "localization_error": "error px",
    "keypoints": "keypoints",
}
_MATCHING = {"matching_score": "matching score", "matching_accuracy_3": "MMA 3 px", "nn_map": "NN mAP"}


def claimed_pairs_report(
    out: AnyPath | None, protocols: Iterable[str], weights: Collection[str]
) -> AbstractContextManager[None]:
    """Keeps a folder for `write_pairs_report` on networks of these hashes, see `outputs.claimed_report`."""
    pictures = [f"homography_{protocol}.png" for protocol in protocols]
    return claimed_report(out, "homography", pictures, _BEGINS, ("dataset", "sequences"), weights)


def write_pairs_report(evaluation: PairsEvaluation, out: AnyPath) -> None:
    """Writes an evaluation to a folder; the JSON file, which says that it is complete, comes last.

    Args:
        evaluation: With at least one protocol and one method.
        out: See `jobs.evaluate.evaluate_pairs` for the files.

    Raises:
        OSError: A file cannot be written.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / PAIRS_TABLE, format_pairs(evaluation) + "\n")
    for protocol in evaluation.protocols:
        write_png(out / f"homography_{protocol}.png", draw_protocol(evaluation, protocol), TITLE)
    write_text(out / PAIRS_JSON, json_text(pairs_as_plain(evaluation)))


def format_pairs(evaluation: PairsEvaluation) -> str:
    """For each protocol, suppression and kind of change the measures of each method, as aligned Markdown."""
    blocks = [_preamble(evaluation)]
    for protocol, radii in evaluation.results.items():
        for radius, methods in radii.items():
            for change in evaluation.changes:
                title = f"{protocol}, NMS {radius}, {change}"
                blocks.append(f"{title}: detection\n\n{_detection_table(methods, change)}")
                if any("matching_score" in method.splits[change] for method in methods.values()):
                    thresholds = evaluation.settings.homography_thresholds
                    blocks.append(f"{title}: matching\n\n{_matching_table(methods, change, thresholds)}")
                if any("milliseconds" in method.splits[change] for method in methods.values()):
                    blocks.append(f"{title}: matchers\n\n{_matchers_table(methods, change)}")
    return "\n\n".join(blocks)


def _preamble(evaluation: PairsEvaluation) -> str:
    settings, bootstrap = evaluation.settings, evaluation.settings.bootstrap
    protocols = "\n".join(
        f"{name}: {_size_text(protocol.image_size)}, the best {protocol.max_keypoints} keypoints of each image."
        for name, protocol in evaluation.protocols.items()
    )
    return (
        f"{_BEGINS}{evaluation.pair_count} pairs of {len(evaluation.sequences)} scenes.\n"
        f"{protocols}\n"
        f"Repeatability (one to one), matching score and NN mAP within {settings.tolerance:g} px. Matches: "
        f"{settings.matching}. Homographies: {settings.estimator}.\n"
        f"In brackets the {bootstrap.level:.0%} bootstrap interval over pairs; pairs of a scene are alike, so with "
        "few scenes it is too narrow (the JSON file has the one over scenes, and the result of each pair)."
    )


def _size_text(image_size: tuple[int, int] | None) -> str:
    """Height first, as everywhere in words."""
    return "full size" if image_size is None else f"{image_size[1]}x{image_size[0]}"


def _detection_table(methods: Mapping[str, PairsMethodResult], change: Change) -> str:
    rows = []
    for name, method in methods.items():
        measures = method.splits[change]
        cells = [_with_interval(measures["repeatability"])]
        cells += [as_text(measures[key].mean) for key in ("repeatability_many_to_one", "localization_error")]
        rows.append([name, *cells, as_text(measures["keypoints"].mean, 0)])
    return aligned(["method", *_DETECTION.values()], rows)


def _matching_table(methods: Mapping[str, PairsMethodResult], change: Change, thresholds: Sequence[int]) -> str:
    """Of the methods that have descriptors."""
    header = ["method", *_MATCHING.values()]
    header += [f"homography {t} px" for t in thresholds] + [f"AUC {t} px" for t in thresholds]
    rows = []
    for name, method in methods.items():
        measures = method.splits[change]
        if "matching_score" in measures:
            keys = [*_MATCHING, *(f"homography_accuracy_{t}" for t in thresholds)]
            areas = [as_text(measures[f"homography_auc_{t}"].mean) for t in thresholds]
            rows.append([name, *(_with_interval(measures[key]) for key in keys), *areas])
    return aligned(header, rows)


def _matchers_table(methods: Mapping[str, PairsMethodResult], change: Change) -> str:
    """Of the methods with a matching of their own."""
    rows = []
    for name, method in methods.items():
        measures = method.splits[change]
        if "milliseconds" in measures:
            shares = [as_text(measures[key].mean) for key in ("matching_accuracy_3", "matching_recall")]
            rows.append(
                [name, as_text(measures["matches"].mean, 0), *shares, as_text(measures["milliseconds"].mean, 1)]
            )
    return aligned(["method", "matches", "precision 3 px", "recall 3 px", "ms"], rows)


def _with_interval(measure: Mean) -> str:
    if measure.count == 0:
        return "-"
    lower, upper = measure.interval
    return f"{measure.mean:.3f} [{lower:.2f}, {upper:.2f}]"
