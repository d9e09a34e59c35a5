"""An evaluation on scenes as a table, and as pictures of what was found and what was not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core.files import AnyPath, write_text
from ..core.plain import json_text
from ..evaluation.outputs import TITLE
from ..evaluation.tables import aligned, as_text
from ..io.images import write_png
from ..planar.detect import Quads
from ..planar.detector import QuadDetector
from ..planar.drawing import FALSE_ALARM, FOUND, HIT, MISSED, draw_quads, sheet
from ..planar.evaluation import GROUPS, ScenesEvaluation, TrueQuads, describe, evaluation_stream
from ..planar.methods import Picture, by_network
from ..planar.scenes import Scene
from ..planar.scoring import QuadScores, look_at, match_quads
from ..planar.sight import draw_sight

SCENES_JSON, SCENES_TABLE = "scenes.json", "scenes.txt"
BEGINS = "Rendered scenes: "
SHEETS = ("scenes_hits.png", "scenes_misses.png", "scenes_false_alarms.png")
SIGHT = "scenes_sight.png"
"""What training sees of the first scenes, see `planar.sight`."""

PICTURES = (*SHEETS, SIGHT)
_PER_SHEET, _SIGHTS = 12, 4


def write_scenes_report(
    evaluation: ScenesEvaluation,
    out: AnyPath,
    templates: Sequence[Picture],
    backgrounds: Sequence[Picture],
    detector: QuadDetector,
    threshold: float,
) -> None:
    """Writes the table, the JSON file and the pictures of an evaluation to a folder.

    Args:
        evaluation: Its figures.
        out: The folder.
        templates: Of the scenes.
        backgrounds: Of the scenes.
        detector: Whose quadrilaterals are drawn.
        threshold: Those with a larger score.

    Raises:
        OSError: A file cannot be written.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / SCENES_TABLE, format_scenes(evaluation) + "\n")
    write_text(out / SCENES_JSON, json_text(evaluation))
    stream, method = evaluation_stream(templates, backgrounds, evaluation.protocol), by_network(detector)
    rows: list[NDArray[np.uint8]] = []
    chosen: list[list[NDArray[np.uint8]]] = [[], [], []]
    for index in range(evaluation.protocol.count):
        scene = stream[index]
        if len(scene.corners) and len(rows) < _SIGHTS:
            rows.append(draw_sight(detector.network, scene))
        quads = method(scene.image, scene.templates.tolist())
        for which, picture in _tiles(scene, quads, describe(scene, templates), threshold):
            chosen[which].append(picture)
        if min(map(len, chosen)) >= _PER_SHEET:
            break
    for name, pictures in zip(SHEETS, chosen, strict=True):
        write_png(out / name, sheet(pictures[:_PER_SHEET]), TITLE)
    write_png(out / SIGHT, np.concatenate(rows) if rows else sheet([]), TITLE)


def _tiles(scene: Scene, quads: Quads, true: TrueQuads, threshold: float) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """The scene's picture with the numbers of the sheets on which it belongs."""
    corners, scores = (values[quads.scores > threshold] for values in (quads.corners, quads.scores))
    outcome = look_at(Quads(corners, scores, quads.image_size), scene)
    matches = match_quads(outcome.overlaps, scores, 0.5)
    counts = next(iter(GROUPS.values()))(true)
    found = np.isin(np.arange(len(counts)), matches)
    missed, alarms = counts & ~found, (matches < 0) & ~outcome.part.any(axis=1)
    picture = draw_quads(scene.image, scene.corners[found], HIT)
    picture = draw_quads(picture, scene.corners[missed], MISSED)
    picture = draw_quads(picture, corners[~alarms], FOUND)
    picture = draw_quads(picture, corners[alarms], FALSE_ALARM)
    if (counts & found).any():
        yield 0, picture
    if missed.any():
        yield 1, picture
    if alarms.any():
        yield 2, picture


def format_scenes(evaluation: ScenesEvaluation) -> str:
    """The measures of each method, and of the first by groups, as aligned Markdown."""
    protocol = evaluation.protocol
    height, width = protocol.scenes.size_hw
    behind = f"{evaluation.backgrounds} backgrounds" if evaluation.backgrounds else "drawn backgrounds"
    preamble = (
        f"{BEGINS}{protocol.count} of {height}x{width} with {evaluation.templates} templates before {behind}.\n"
        "Those count whose shorter side is 24 px or more and of which 0.7 or more is seen; what lies by half or more "
        "in one of which less is seen is no false alarm. AP and AR at a polygon IoU of 0.5 and 0.75; corners: mean "
        "distance in px at an IoU of 0.5, in the nearest order and as they are said; order: share whose first corner "
        "is the template's. The methods by keypoints are given the templates of the scene, the others are not."
    )
    header = ["method", "AP 0.5", "AP 0.75", "AR 0.5", "AR 0.75", "corners", "as said", "order", "ms"]
    rows = [
        [name, *_cells(next(iter(result.groups.values()))), f"{result.milliseconds:.0f}"]
        for name, result in evaluation.results.items()
    ]
    first, result = next(iter(evaluation.results.items()))
    by_group = [[name, str(scores.truth_count), *_cells(scores)] for name, scores in result.groups.items()]
    group_header = [first, "number", *header[1:-1]]
    return f"{preamble}\n\n{aligned(header, rows)}\n\n{aligned(group_header, by_group)}"


def _cells(scores: QuadScores) -> list[str]:
    shares = [scores.ap_50, scores.ap_75, scores.ar_50, scores.ar_75]
    distances = [scores.corner_error, scores.ordered_error]
    return [*map(as_text, shares), *(as_text(value, 2) for value in distances), as_text(scores.right_order)]
