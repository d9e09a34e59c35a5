"""What each further template costs: `magicpoint locate` with 1 to 50 templates on one scene.

    python benchmarks/locate_templates.py PICTURES [--weights superpoint-small] [--rounds 5] [--threads 2] [--json FILE]

PICTURES has at least 54 pictures. The scenes are the last four of them at 480x640 with the first, the one template that
is always asked for, hanging in the middle. The times are of a whole call, the mean over the four, with what is known of
the templates computed before; those of all counts are taken by turns. A template costs what the times at the most and
at one differ by, divided by as many.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import figures
import numpy as np
import torch
from numpy.typing import NDArray

from magicpoint import DecodeSettings, Extractor
from magicpoint.model.weights import load_weights, resolve_planar
from magicpoint.planar.detector import QuadDetector
from magicpoint.planar.locate import PROPOSING, Locator
from magicpoint.planar.located import LocateSettings, outer_corners
from magicpoint.planar.pictures import Pictures
from magicpoint.planar.templates import describe_template
from magicpoint.planar.verify.network import VerifierNetwork
from magicpoint.planar.verify.verifier import Verifier

COUNTS = (1, 10, 25, 50)
SCENES = 4
SIZE = (640, 480)
PLACE = np.array([[220, 120], [430, 150], [410, 350], [200, 310]], np.float32)


def scene_of(background: NDArray[np.uint8], picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture that hangs before another one, uint8 (480, 640)."""
    scene = np.asarray(cv2.resize(background, SIZE, interpolation=cv2.INTER_AREA), np.uint8)
    corners = outer_corners((picture.shape[1], picture.shape[0])).astype(np.float32)
    H = cv2.getPerspectiveTransform(corners, PLACE)
    cover = cv2.warpPerspective(np.full_like(picture, 255), H, SIZE)
    return np.where(cover > 127, cv2.warpPerspective(picture, H, SIZE), scene)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--weights", default="superpoint-small")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    pictures = Pictures((), [arguments.pictures])[: COUNTS[-1] + SCENES]
    best = DecodeSettings(max_keypoints=LocateSettings().most_compared)
    extractor = Extractor.load(arguments.weights, best, "cpu")
    detector = QuadDetector.from_pretrained("quads", PROPOSING, "cpu")
    network = load_weights(resolve_planar("verifier").path, VerifierNetwork)[0]
    known = [
        describe_template(str(number), picture, extractor) for number, picture in enumerate(pictures[: COUNTS[-1]])
    ]
    scenes = [scene_of(background, pictures[0]) for background in pictures[-SCENES:]]
    calls: dict[str, Callable[[], Any]] = {}
    for count in COUNTS:
        templates = {each.name: each for each in known[:count]}
        verifier = Verifier(dict(zip(templates, pictures, strict=False)), network)
        for name, parts in (("locate", (detector, verifier)), ("keypoints alone", (None, None))):
            locator = Locator(templates, extractor, None, *parts)
            calls[f"{name}, {count} templates, {SCENES} scenes"] = lambda locator=locator: [
                *map(locator.locate, scenes)
            ]
    found = figures.taken_in_turns(calls, arguments.rounds)
    print("| | " + " | ".join(f"{count} templates" for count in COUNTS) + " | a further template |")
    print("|---" * (len(COUNTS) + 2) + "|")
    for name in ("locate", "keypoints alone"):
        times = [found[f"{name}, {count} templates, {SCENES} scenes"].value / SCENES for count in COUNTS]
        each = (times[-1] - times[0]) / (COUNTS[-1] - COUNTS[0])
        found[f"{name}, a further template"] = figures.of([each], "ms")
        print(f"| {name} | " + " | ".join(f"{value:.0f} ms" for value in times) + f" | {each:.2f} ms |")
    if arguments.json:
        figures.save(arguments.json, found, threads=arguments.threads)


if __name__ == "__main__":
    main()
