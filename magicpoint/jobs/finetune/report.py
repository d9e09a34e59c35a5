"""A fine-tuning on one page: its labels, its training, its evaluation, and what to do next."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from ...core.plain import as_plain
from ...data.labelled_images import LEAST_HELD_OUT
from ...evaluation.pairs.json_file import pairs_as_plain
from ...evaluation.pairs.report import format_pairs
from ...evaluation.pairs.results import PairsEvaluation
from ...evaluation.tables import aligned, as_text
from ..train import RunMeasures
from .result import FinetuneResult, RoundResult

REPORT_TITLE = "# SuperPoint of your images"

FEWER_POINTS = 0.5
"""A network that finds this share of the points on which it was trained, or less, is forgetting keypoints."""

_VALIDATION = {
    "repeatability": "repeatability",
    "localization_error": "error px",
    "matching_score": "matching score",
    "matching_accuracy": "matches right",
    "keypoints_per_image": "keypoints",
}


def label_warnings(rounds: Sequence[RoundResult]) -> list[str]:
    """What should be looked at, of each round's labels and of what they have become since the round before."""
    warnings = [f"round {each.number}: {warning}" for each in rounds for warning in each.labels.warnings]
    warnings += [
        f"round {after.number}: {after.labels.points_mean:.1f} points an image instead of "
        f"{before.labels.points_mean:.1f} in the round before: take fewer rounds or a lower adaptation.threshold"
        for before, after in pairwise(rounds)
        if after.labels.points_mean <= FEWER_POINTS * before.labels.points_mean
    ]
    return warnings


def format_finetuning(result: FinetuneResult) -> str:
    """The report in Markdown; the same result gives the same text."""
    rounds, folder = result.rounds, result.report.parent
    shown = " ".join(shlex.quote(str(path)) for path in result.images)
    blocks = [
        REPORT_TITLE,
        f"{rounds[0].labels.images} images of {shown}; labelled by, and trained from, {result.start}; "
        f"{len(rounds)} round{'s' if len(rounds) > 1 else ''}. The weights: {result.weights}"
        + "".join(f", and of {student.name} {student.training.weights}" for student in result.students),
        "## Are the labels good?",
        _labels_table(rounds),
        "\n".join(f"- WARNING, {warning}" for warning in label_warnings(rounds))
        or "Nothing suspicious in these figures.",
        f"Look at them: {', '.join(str(folder / f'sheets_{each.number}') for each in rounds)}. Points should sit on "
        "corners and spots of the things you photographed, not in rings or along the border.",
        "## Training",
        "On pairs of views of held-out images, at 3 px; the best has the largest mean of repeatability and matching "
        "score. The validation at step 0 is of the weights with which the round began.",
        _training_table(result),
        "\n".join(f"- {gain}" for gain in training_gains(rounds)),
        "## Evaluation",
        f"On {folder / 'pairs'}: views of held-out images in other light (i_*) and through homographies (v_*). start "
        f"is {result.start}. Views that are rendered from one image lack what differs between two photographs, so "
        "pairs of your own tell more.",
        "\n".join(f"- {verdict}" for verdict in verdicts(result.evaluation, rounds[-1].number)),
        format_pairs(result.evaluation),
        "## What next",
        _commands(result, shown),
    ]
    return "\n\n".join(blocks) + "\n"


def summarize_finetuning(result: FinetuneResult) -> str:
    """What a terminal shows in the end: the tables of the evaluation, the verdicts, where the report is."""
    verdict = "\n".join(verdicts(result.evaluation, result.rounds[-1].number))
    last = f"{result.report}: whether the labels are good, and what came of them"
    return "\n\n".join([format_pairs(result.evaluation), verdict, last])


def finetuning_as_plain(result: FinetuneResult) -> dict[str, Any]:
    """The result as JSON has it, with the warnings and verdicts that the report draws from it."""
    return {
        **as_plain(result),
        "evaluation": pairs_as_plain(result.evaluation),
        "label_warnings": label_warnings(result.rounds),
        "training_gains": training_gains(result.rounds),
        "verdicts": verdicts(result.evaluation, result.rounds[-1].number),
    }


def training_gains(rounds: Sequence[RoundResult]) -> list[str]:
    """How far each round's training went beyond the weights with which it began, in words."""
    lines = []
    for each in rounds:
        validations = each.training.validations
        if validations[0].step != 0:  # of an earlier version
            continue
        best = max(validations, key=_score)
        before, after = (as_text(_score(validation) / 2) for validation in (validations[0], best))
        if best.step == 0:
            lines.append(
                f"WARNING, round {each.number}: no validation is better than that before the first step, {before}, so "
                "that the weights are those with which it began. Take a lower learning rate, or more steps or images."
            )
        else:
            lines.append(f"round {each.number}: from {before} before the first step to {after} after step {best.step}.")
    return lines


def verdicts(evaluation: PairsEvaluation, last_round: int) -> list[str]:
    """Whether the last round's network is better than what it began with and than SIFT, in words."""
    network, protocol = f"round {last_round}", "paper-homography"
    repeats = {
        name: evaluation.mean("paper-repeatability", 4, name, "all", "repeatability") for name in (network, "start")
    }
    compared = [name for name in (network, "sift") if name in evaluation.results[protocol][4]]
    right = {name: evaluation.mean(protocol, 4, name, "all", "homography_accuracy_3") for name in compared}
    held_out = len(evaluation.sequences) // 2
    lines = [f"{evaluation.pair_count} pairs, which are views of {held_out} held-out images."]
    if held_out < LEAST_HELD_OUT:
        lines[0] = f"WARNING, {lines[0]} These are too few to tell a small difference: take more images."
    for measure, other, values in (("repeatability", "start", repeats), ("homographies within 3 px", "sift", right)):
        own, others = values[network], values.get(other, math.nan)
        text = f"{measure}: {as_text(own)}, of {other} {as_text(others)}"
        worse = math.isnan(own) or own < others
        lines.append(f"WARNING, {text}: worse. Train for more steps, or on more images." if worse else f"{text}.")
    return lines


def _labels_table(rounds: Sequence[RoundResult]) -> str:
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


def _densest(each: RoundResult) -> str:
    """The largest density of points in the rings within 16 pixels of the border; 1 is that of the whole image."""
    return as_text(max((ring.density for ring in each.labels.border[:4] if ring.density is not None), default=None), 2)


def _training_table(result: FinetuneResult) -> str:
    trainings = {str(each.number): each.training for each in result.rounds}
    trainings |= {student.name: student.training for student in result.students}
    rows = []
    for name, training in trainings.items():
        validations = training.validations
        best = max(validations, key=_score)
        first = "start" if validations[0].step == 0 else "first"
        for which, validation in ((first, validations[0]), ("best", best), ("last", validations[-1])):
            measures = validation.measures
            cells = [as_text(measures[key], 1 if key == "keypoints_per_image" else 3) for key in _VALIDATION]
            rows.append([name, which, str(validation.step), *cells])
    return aligned(["round", "validation", "step", *_VALIDATION.values()], rows)


def _score(validation: RunMeasures) -> float:
    score = validation.measures["repeatability"] + validation.measures["matching_score"]
    return -math.inf if math.isnan(score) else score


def _commands(result: FinetuneResult, images: str) -> str:
    folder = shlex.quote(str(result.report.parent))
    commands = {
        "compare with SIFT and others on pairs of your own, in the HPatches layout": (
            f"magicpoint evaluate PAIRS --dataset homography --weights {folder} --out EVALUATION"
        ),
        "match two images": f"magicpoint match IMAGE0 IMAGE1 --weights {folder} --out matches.png",
        "find the keypoints and descriptors of all images": (
            f"magicpoint extract {images} --weights {folder} --out features.h5"
        ),
        "label again with this network, and train on that (other settings as before)": (
            f"magicpoint finetune {images} --out {folder} --rounds {len(result.rounds) + 1}"
        ),
    }
    lines = [line for purpose, command in commands.items() for line in (f"# {purpose}", command)]
    return "\n".join(["```sh", *lines, "```"])
