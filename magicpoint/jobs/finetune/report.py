"""What a fine-tuning came to, on one page: its labels, its training, its evaluation, and what to do next."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from ...adaptation.summary import LabelReport
from ...core.files import write_text
from ...evaluation.pairs.report import format_pairs
from ...evaluation.pairs.results import PairsEvaluation
from ...evaluation.tables import aligned, as_text
from ...model.weights import BEST_WEIGHTS
from ...training.log import METRICS_FILE

REPORT_FILE = "report.md"

FEWER_POINTS = 0.5
"""A network that finds this share of the points on which it was trained, or less, is forgetting keypoints."""

_VALIDATION = {
    "repeatability": "repeatability",
    "localization_error": "error px",
    "matching_score": "matching score",
    "matching_accuracy": "matches right",
    "keypoints_per_image": "keypoints",
}


@dataclass(frozen=True)
class Round:
    """One labelling and the training on it.

    Args:
        number: From 1.
        labels: What the labels look like.
        run: The folder of the training.
    """

    number: int
    labels: LabelReport
    run: Path


def label_warnings(rounds: Sequence[Round]) -> list[str]:
    """What should be looked at, of each round's labels and of what they have become since the round before."""
    warnings = [f"round {each.number}: {warning}" for each in rounds for warning in each.labels.warnings]
    warnings += [
        f"round {after.number}: {after.labels.points_mean:.1f} points an image instead of "
        f"{before.labels.points_mean:.1f} in the round before: take fewer rounds or a lower adaptation.threshold"
        for before, after in pairwise(rounds)
        if after.labels.points_mean <= FEWER_POINTS * before.labels.points_mean
    ]
    return warnings


def write_finetune_report(
    out: Path, images: Sequence[Path], weights: str, rounds: Sequence[Round], evaluation: PairsEvaluation
) -> Path:
    """Write what the stages in a folder came to; the same stages give the same bytes.

    Args:
        out: The folder of `finetune_images`, all stages complete.
        images: As they were given.
        weights: As they were named, those from which the first round began.
        rounds: At least one.
        evaluation: Of the networks of all rounds.

    Returns:
        The file.

    Raises:
        OSError: A file cannot be read or written.
    """
    shown = " ".join(shlex.quote(str(path)) for path in images)
    blocks = [
        "# SuperPoint of your images",
        f"{rounds[0].labels.images} images of {shown}; labelled by, and trained from, {weights}; "
        f"{len(rounds)} round{'s' if len(rounds) > 1 else ''}. The weights: {out / BEST_WEIGHTS}",
        "## Are the labels good?",
        _labels_table(rounds),
        "\n".join(f"- WARNING, {warning}" for warning in label_warnings(rounds))
        or "Nothing suspicious in these figures.",
        f"Look at them: {', '.join(str(out / f'sheets_{each.number}') for each in rounds)}. Points should sit on "
        "corners and spots of the things you photographed, not in rings or along the border.",
        "## Training",
        "On pairs of views of held-out images, at 3 px; the best has the largest mean of repeatability and matching "
        "score.",
        _training_table(rounds),
        "## Evaluation",
        f"On {out / 'pairs'}: views of held-out images in other light (i_*) and through homographies (v_*). start is "
        f"{weights}. Views that are rendered from one image lack what differs between two photographs, so pairs of "
        "your own tell more.",
        "\n".join(f"- {verdict}" for verdict in verdicts(evaluation, rounds[-1].number)),
        format_pairs(evaluation),
        "## What next",
        _commands(out, shown, len(rounds)),
    ]
    write_text(out / REPORT_FILE, "\n\n".join(blocks) + "\n")
    return out / REPORT_FILE


def verdicts(evaluation: PairsEvaluation, last_round: int) -> list[str]:
    """Whether the last round's network is better than what it began with and than SIFT, in words."""
    network, protocol = f"round {last_round}", "paper-homography"
    repeats = {
        name: evaluation.mean("paper-repeatability", 4, name, "all", "repeatability") for name in (network, "start")
    }
    compared = [name for name in (network, "sift") if name in evaluation.results[protocol][4]]
    right = {name: evaluation.mean(protocol, 4, name, "all", "homography_accuracy_3") for name in compared}
    lines = [f"{evaluation.pair_count} pairs, which are views of {len(evaluation.sequences) // 2} held-out images."]
    for measure, other, values in (("repeatability", "start", repeats), ("homographies within 3 px", "sift", right)):
        own, others = values[network], values.get(other, math.nan)
        text = f"{measure}: {as_text(own)}, of {other} {as_text(others)}"
        worse = math.isnan(own) or own < others
        lines.append(f"WARNING, {text}: worse. Train for more steps, or on more images." if worse else f"{text}.")
    return lines


def _labels_table(rounds: Sequence[Round]) -> str:
    header = ["round", "images", "skipped", "without a point", "points an image", "5 % / 50 % / 95 %", "median score"]
    rows = []
    for each in rounds:
        labels = each.labels
        percentiles = " / ".join(f"{labels.points_percentiles[p]:.0f}" for p in ("5", "50", "95"))
        counts = [str(labels.images), str(labels.skipped), f"{labels.empty_share:.1%}", f"{labels.points_mean:.1f}"]
        rows.append([str(each.number), *counts, percentiles, as_text(labels.score_median)])
    return aligned(
        [*header, "density at the border"], [[*row, _densest(e)] for row, e in zip(rows, rounds, strict=True)]
    )


def _densest(each: Round) -> str:
    """The largest density of points in the rings within 16 pixels of the border; 1 is that of the whole image."""
    return as_text(max((ring.density for ring in each.labels.border[:4] if ring.density is not None), default=None), 2)


def _training_table(rounds: Sequence[Round]) -> str:
    rows = []
    for each in rounds:
        validations = _validations(each.run)
        best = max(validations, key=_score)
        for name, line in (("first", validations[0]), ("best", best), ("last", validations[-1])):
            cells = [as_text(_defined(line[key]), 1 if key == "keypoints_per_image" else 3) for key in _VALIDATION]
            rows.append([str(each.number), name, str(line["step"]), *cells])
    return aligned(["round", "validation", "step", *_VALIDATION.values()], rows)


def _validations(run: Path) -> list[dict[str, Any]]:
    lines = (json.loads(line) for line in (run / METRICS_FILE).read_text().splitlines())
    return [line for line in lines if line["kind"] == "validation"]


def _score(line: Mapping[str, float]) -> float:
    score = line["repeatability"] + line["matching_score"]
    return -math.inf if math.isnan(score) else score


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else value


def _commands(out: Path, images: str, rounds: int) -> str:
    folder = shlex.quote(str(out))
    commands = {
        "compare with SIFT and others on pairs of your own, in the HPatches layout": (
            f"magicpoint evaluate PAIRS --dataset homography --weights {folder} --out EVALUATION"
        ),
        "match two images": f"magicpoint match IMAGE0 IMAGE1 --weights {folder} --out matches.png",
        "find the keypoints and descriptors of all images": (
            f"magicpoint extract {images} --weights {folder} --out features.h5"
        ),
        "label again with this network, and train on that (other settings as before)": (
            f"magicpoint finetune {images} --out {folder} --rounds {rounds + 1}"
        ),
    }
    lines = [line for purpose, command in commands.items() for line in (f"# {purpose}", command)]
    return "\n".join(["```sh", *lines, "```"])
