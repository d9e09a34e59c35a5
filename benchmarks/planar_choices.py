"""What decides how well quadrilaterals are found: assignment, stages, pooling, a frozen encoder.

    python benchmarks/planar_choices.py [--steps 300] [--templates DIR ...] [--backgrounds DIR ...] [--out FOLDER]

Trains one detector for each choice, from the same seed, on the same scenes and for as many steps, and measures all of
them on the same scenes that none has seen: over all that count, and over those alone that are seen from 55 degrees on.
Scenes of 128x160 and the encoder of superpoint-tiny, so that a run takes minutes: the figures are for comparison alone.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from pathlib import Path

from magicpoint import QuadDetector, QuadModelSettings, QuadSettings, QuadTaskSettings, TrainSettings, train_model
from magicpoint.evaluation.tables import aligned, as_text
from magicpoint.planar.evaluation import ScenesProtocol, evaluate_on_scenes
from magicpoint.planar.methods import by_network
from magicpoint.planar.pictures import Pictures
from magicpoint.planar.scenes import SceneSettings, draw_boards
from magicpoint.planar.scoring import QuadScores
from magicpoint.planar.validation import LOWEST_SCORE

SCENES = SceneSettings((128, 160), most_objects=4, shorter_side=(20.0, 80.0))
MODEL = QuadModelSettings(width=0.25, anchor_sides=(24.0, 48.0, 96.0), proposals=16)
BASE = QuadTaskSettings(scenes=SCENES, model=MODEL, frozen=2)
CHOICES: dict[str, QuadTaskSettings] = {
    "FreeAnchor, two stages, parallelograms, most of the encoder learns": BASE,
    "rule by IoU": dataclasses.replace(BASE, assignment="iou_rule"),
    "one stage": dataclasses.replace(BASE, model=dataclasses.replace(MODEL, stages=1)),
    "pooling in the own homography": dataclasses.replace(BASE, model=dataclasses.replace(MODEL, pooling="rectified")),
    "pooling in the upright box": dataclasses.replace(BASE, model=dataclasses.replace(MODEL, pooling="upright")),
    "frozen encoder": dataclasses.replace(BASE, frozen=8),
    "whole encoder learns": dataclasses.replace(BASE, frozen=0),
}
OBLIQUE = "seen from 55°"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scenes", type=int, default=200, help="that are measured on")
    parser.add_argument("--templates", nargs="*", type=Path, default=[])
    parser.add_argument("--backgrounds", nargs="*", type=Path, default=[])
    parser.add_argument("--out", type=Path, help="where the runs are kept; else they are removed")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        compare(arguments, arguments.out or Path(temporary))


def compare(arguments: argparse.Namespace, out: Path) -> None:
    """Prints the table."""
    methods = {}
    for number, (name, task) in enumerate(CHOICES.items()):
        pictures = {"templates": tuple(arguments.templates), "backgrounds": tuple(arguments.backgrounds)}
        run = TrainSettings(
            task=dataclasses.replace(task, **pictures),
            start="superpoint-tiny",
            seed=arguments.seed,
            steps=arguments.steps,
            batch_size=8,
            learning_rate=1e-3,
            gradient_clip=5.0,
            warmup_steps=100,
            precision="float32",
            validate_every=arguments.steps,
            checkpoint_every=arguments.steps,
        )
        train_model(out / str(number), run, resume=True)
        last = out / str(number) / "last.safetensors"
        methods[name] = by_network(QuadDetector.from_pretrained(last, QuadSettings(threshold=LOWEST_SCORE)))
    held_out = Pictures(draw_boards(64), arguments.templates).split(BASE.holdout)[1]
    walls = Pictures((), arguments.backgrounds).split(BASE.holdout)[1]
    found = evaluate_on_scenes(held_out, walls, methods, ScenesProtocol(arguments.scenes, scenes=SCENES), {})
    rows = []
    for name, result in found.results.items():
        overall, oblique = next(iter(result.groups.values())), result.groups[OBLIQUE]
        rows.append([name, *cells(overall), *cells(oblique)])
    counts = [next(iter(found.results.values())).groups[group].truth_count for group in ("all that count", OBLIQUE)]
    print(f"{arguments.steps} steps of 8 scenes; {counts[0]} quadrilaterals count, {counts[1]} of them {OBLIQUE}\n")
    header = ["AP 0.5", "AP 0.75", "corners"]
    print(aligned(["", *header, *(f"{each}, oblique" for each in header)], rows))


def cells(scores: QuadScores) -> list[str]:
    return [as_text(scores.ap_50), as_text(scores.ap_75), as_text(scores.corner_error, 2)]


if __name__ == "__main__":
    main()
