"""How good quadrilaterals are that were found in scenes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..measures.detection import average_precision
from ..measures.points import mean_or_nan
from .detect import Quads
from .polygons import polygon_iou, share_inside
from .scenes import Scene

Floats = NDArray[np.float64]

LEAST_VISIBLE = 0.7
"""The visible share of templates that count."""

PART = 0.5
"""What lies by this share of its area in a template that does not count since too little of it is seen is what is seen
of it, as with crowds in the evaluation of COCO: the seen part of a template that the border or another thing cuts
has four corners, too, and to be said to be there is no false alarm."""


def match_quads(overlaps: ArrayLike, scores: ArrayLike, least_iou: float) -> NDArray[np.int64]:
    """Assign quadrilaterals that were found to true ones, each to at most one of the other.

    Those found choose in the order of decreasing score, the first of equals first, and each takes the true one that is
    still free with which it shares most.

    Args:
        overlaps: (N, M), the `polygon_iou` of each with each.
        scores: (N,).
        least_iou: Smallest overlap of a match, itself included.

    Returns:
        (N,): for each the index of its true one, or -1.
    """
    left = np.array(overlaps, np.float64, ndmin=2)
    matches = np.full(len(left), -1)
    if not left.size:
        return matches
    for index in np.argsort(-np.asarray(scores, np.float64), kind="stable"):
        best = int(left[index].argmax())
        if left[index, best] >= least_iou:
            matches[index] = best
            left[:, best] = -1.0
    return matches


@dataclass(frozen=True, eq=False)
class SceneOutcome:
    """What was found in one scene, beside what is there.

    Args:
        corners: float (N, 4, 2), found.
        scores: (N,), theirs.
        truth: float (M, 4, 2), there.
        overlaps: (N, M), the `polygon_iou` of each with each.
        part: bool (N, M), which lie by `PART` or more in which true one, where less of that is seen than counts.
    """

    corners: NDArray[np.float32]
    scores: NDArray[np.float32]
    truth: NDArray[np.float32]
    overlaps: Floats
    part: NDArray[np.bool_]


def look_at(quads: Quads, scene: Scene) -> SceneOutcome:
    """What was found in a scene beside what is there."""
    part = (share_inside(quads.corners, scene.corners) >= PART) & (scene.visible < LEAST_VISIBLE)
    overlaps = polygon_iou(quads.corners, scene.corners)
    return SceneOutcome(quads.corners, quads.scores, scene.corners, overlaps, part)


@dataclass(frozen=True)
class QuadScores:
    """The measures of what was found in scenes.

    Args:
        truth_count: True quadrilaterals that count.
        ap_50: Average precision at a polygon IoU of 0.5; nan without a true one.
        ap_75: At 0.75.
        ar_50: Share of the true ones that are found at an IoU of 0.5, however low the score.
        ar_75: At 0.75.
        corner_error: Mean distance in pixels of the corners of matches at 0.5 from the true ones, in whichever order
            that goes around is the nearest; nan without a match.
        ordered_error: The same with corner 0 against corner 0.
        right_order: Share of these matches whose first corner is the template's first.
        quads_per_image: Found with a score above the threshold.
    """

    truth_count: int
    ap_50: float
    ap_75: float
    ar_50: float
    ar_75: float
    corner_error: float
    ordered_error: float
    right_order: float
    quads_per_image: float


def score_quads(outcomes: Sequence[SceneOutcome], counts: Sequence[NDArray[np.bool_]], threshold: float) -> QuadScores:
    """The measures over scenes.

    Args:
        outcomes: One for each scene.
        counts: For each scene bool (M,), which of its true quadrilaterals count. What is matched to another one, or is
            a part of one (`PART`), is neither right nor a false alarm.
        threshold: The score from which on `quads_per_image` counts; the other measures take all that is found.
    """
    truth_count = int(sum(count.sum() for count in counts))
    judged = {
        least_iou: [_judge(outcome, count, least_iou) for outcome, count in zip(outcomes, counts, strict=True)]
        for least_iou in (0.5, 0.75)
    }
    found = {least_iou: sum(int(right.sum()) for _, right in each) for least_iou, each in judged.items()}
    pairs = [_matched(outcome, count) for outcome, count in zip(outcomes, counts, strict=True)]
    errors = np.concatenate([np.zeros((0, 4)), *(_corner_errors(*pair) for pair in pairs)])
    many = sum(int((outcome.scores > threshold).sum()) for outcome in outcomes)
    return QuadScores(
        truth_count=truth_count,
        ap_50=average_precision(judged[0.5], truth_count).ap,
        ap_75=average_precision(judged[0.75], truth_count).ap,
        ar_50=found[0.5] / truth_count if truth_count else float("nan"),
        ar_75=found[0.75] / truth_count if truth_count else float("nan"),
        corner_error=mean_or_nan(errors.min(axis=1, initial=np.inf)),
        ordered_error=mean_or_nan(errors[:, 0]),
        right_order=mean_or_nan(errors.argmin(axis=1) == 0),
        quads_per_image=many / len(outcomes) if outcomes else float("nan"),
    )


def _judge(
    outcome: SceneOutcome, counts: NDArray[np.bool_], least_iou: float
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Scores of what counts, and whether it is right."""
    matches = match_quads(outcome.overlaps, outcome.scores, least_iou)
    right = np.zeros(len(matches), np.bool_)
    right[matches >= 0] = counts[matches[matches >= 0]]
    counted = right | ((matches < 0) & ~outcome.part[:, ~counts].any(axis=1))
    return outcome.scores[counted], right[counted]


def _matched(outcome: SceneOutcome, counts: NDArray[np.bool_]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Corners that were found and those that are there, (K, 4, 2) each, of the matches at 0.5 that count."""
    matches = match_quads(outcome.overlaps, outcome.scores, 0.5)
    chosen = matches >= 0
    chosen[chosen] = counts[matches[chosen]]
    return outcome.corners[chosen], outcome.truth[matches[chosen]]


def _corner_errors(found: NDArray[np.float32], truth: NDArray[np.float32]) -> Floats:
    """Mean distances of corners, (K, 4): as they are, and with those that were found turned by one, two and three."""
    turns = [np.linalg.norm(np.roll(found, turn, axis=1) - truth, axis=2).mean(axis=1) for turn in range(4)]
    return np.stack(turns, axis=1).astype(np.float64)


def shorter_sides(corners: NDArray[np.floating]) -> Floats:
    """(N,), the shortest side in pixels of quadrilaterals (N, 4, 2)."""
    sides = np.linalg.norm(np.roll(corners, -1, axis=1) - corners, axis=2)
    return np.asarray(sides.min(axis=1, initial=np.inf), np.float64)
