"""Known things found in rendered scenes: `magicpoint locate` beside what else finds them, by what makes it hard.

    python benchmarks/locate_scenes.py PICTURES [--scenes 100] [--holdout 0.1] [--weights superpoint-small]
        [--proposals quads] [--verifier verifier] [--absent 3] [--out FOLDER]

The scenes are those of `magicpoint generate-scenes`, 240x320 pixels with none to six of the pictures, in one of four
conditions by turns: as it is rendered, in another light, blurred by a Gaussian of 1 to 3 pixels, and with noise of 10
to 40 grey levels. Looked for are the templates that a scene has, and --absent others that it has not. With --holdout
the pictures are those alone that a training with this holdout does not train on.

Compared are the locator, its keypoints alone (without proposals and verifier), SIFT (ratio 0.8) and ORB matched once
with MAGSAC++ (6 inliers or more), and the detector alone, which knows no template: its quadrilaterals with a score of
0.3 or more count, of whatever they are. A find is right where it overlaps its template by an IoU of 0.75 or more. What
is seen by less than 0.3, or has a side below 12 pixels, need not be found. Corners are within so many pixels in the
mean of the four, corner 0 against corner 0. The texture of a template is the mean gradient of its thumbnail, in thirds
of all templates. The folder gets locate_scenes.json.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from locate_pairs import Grey, of_opencv
from numpy.typing import NDArray

from magicpoint import DecodeSettings, Extractor, estimate_homography, match_features
from magicpoint.evaluation.tables import aligned
from magicpoint.matching.settings import MatchSettings
from magicpoint.model.weights import load_weights, resolve_planar
from magicpoint.planar.detect import QuadSettings
from magicpoint.planar.detector import QuadDetector
from magicpoint.planar.evaluation import TrueQuads, describe
from magicpoint.planar.locate import PROPOSING, Locator
from magicpoint.planar.located import LocateSettings, corners_in_scene
from magicpoint.planar.pictures import Pictures
from magicpoint.planar.polygons import polygon_iou
from magicpoint.planar.scenes import Scene, SceneStream
from magicpoint.planar.scoring import match_quads
from magicpoint.planar.templates import Template, describe_template
from magicpoint.planar.verify.network import VerifierNetwork
from magicpoint.planar.verify.verifier import Verifier
from synthetic_shapes.seeding import sample_generator

LEAST_IOU, LEAST_VISIBLE, SMALLEST_SIDE, LEAST_INLIERS = 0.75, 0.3, 12.0, 6
WITHIN = (1, 3, 5)
_PART = 5
CONDITIONS = ("rendered", "another light", "blurred", "noisy")


class Found(NamedTuple):
    """What a method says of a scene: the number of the template, or None, its corners (4, 2), and how sure it is."""

    number: int | None
    corners: NDArray[np.float32]
    score: float


Method = Callable[[Grey, Sequence[int]], list[Found]]
"""From a scene and the numbers of the templates that are looked for to what is found."""


@dataclasses.dataclass(frozen=True)
class Truth:
    """A template in a scene, and which of the methods found it, with the errors of its corners in pixels."""

    side: float
    angle: float
    visible: float
    condition: str
    texture: int
    errors: dict[str, float]


GROUPS: dict[str, Callable[[Truth], bool]] = {
    "all": lambda truth: True,
    "side 12 to 24 px": lambda truth: truth.side < 24,
    "side 24 to 48 px": lambda truth: 24 <= truth.side < 48,
    "side from 48 px": lambda truth: truth.side >= 48,
    **{name: lambda truth, name=name: truth.condition == name for name in CONDITIONS},  # type: ignore[misc]
    "seen at 0 to 30°": lambda truth: truth.angle < 30,
    "seen at 30 to 55°": lambda truth: 30 <= truth.angle < 55,
    "seen from 55°": lambda truth: truth.angle >= 55,
    "visible 0.3 to 0.7": lambda truth: truth.visible < 0.7,
    "visible 0.7 to 0.95": lambda truth: 0.7 <= truth.visible < 0.95,
    "visible from 0.95": lambda truth: truth.visible >= 0.95,
    "plain third": lambda truth: truth.texture == 0,
    "middle third": lambda truth: truth.texture == 1,
    "textured third": lambda truth: truth.texture == 2,
}


class ByLocator:
    """`planar.locate.Locator`, with what is known of the templates."""

    def __init__(
        self,
        pictures: Sequence[NDArray[np.uint8]],
        extractor: Extractor,
        known: dict[int, Template],
        detector: QuadDetector | None,
        network: VerifierNetwork | None,
    ) -> None:
        self._pictures, self._extractor, self._known = pictures, extractor, known
        self._detector, self._network = detector, network

    def __call__(self, image: Grey, numbers: Sequence[int]) -> list[Found]:
        templates = {str(number): self._known[number] for number in numbers}
        shown = {str(number): self._pictures[number] for number in numbers}
        verifier = Verifier(shown, self._network) if self._network is not None else None
        found = Locator(templates, self._extractor, detector=self._detector, verifier=verifier).locate(image)
        return [Found(int(each.template), each.corners, each.inliers) for each in found]


def once(
    pictures: Sequence[NDArray[np.uint8]], detector: cv2.Feature2D, settings: MatchSettings, longest: int = 240
) -> Method:
    """Keypoints of OpenCV, matched once, and MAGSAC++; templates at about the size at which scenes show them."""
    extract, known = of_opencv(detector), {}

    def features_of(number: int) -> tuple[Grey, object]:
        if number not in known:
            picture = pictures[number].astype(np.float32) / 255
            factor = min(1.0, longest / max(picture.shape))
            small = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
            known[number] = np.asarray(small, np.float32), extract(np.asarray(small, np.float32))
        return known[number]

    def find(image: Grey, numbers: Sequence[int]) -> list[Found]:
        scene, found = extract(image), []
        for number in numbers:
            small, features = features_of(number)
            index0, index1 = match_features(features, scene, settings).matches01.T
            estimate = estimate_homography(features.keypoints[index0], scene.keypoints[index1])
            if estimate is None or (count := int(estimate.inliers.sum())) < LEAST_INLIERS:
                continue
            corners = corners_in_scene(estimate.H_0to1, small.shape[::-1], image.shape[::-1])
            if corners is not None:
                found.append(Found(number, corners.astype(np.float32), count))
        return found

    return find


def alone(detector: QuadDetector) -> Method:
    """The detector, which knows no template."""

    def find(image: Grey, numbers: Sequence[int]) -> list[Found]:
        quads = detector.detect(image)
        return [Found(None, corners, score) for corners, score in zip(quads.corners, quads.scores, strict=True)]

    return find


def in_condition(stream: SceneStream, index: int) -> tuple[Scene, str]:
    """A scene, and what was done to it."""
    condition, rng = CONDITIONS[index % len(CONDITIONS)], sample_generator(0, "locate scenes", index)
    scene = stream.rendered(index)
    if condition == "another light":
        return stream.relit(scene, rng), condition
    image = scene.image.astype(np.float64)
    if condition == "blurred":
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(1.0, 3.0))
    if condition == "noisy":
        image = image + rng.normal(0.0, rng.uniform(10.0, 40.0), image.shape)
    return dataclasses.replace(scene, image=np.clip(np.rint(image), 0, 255).astype(np.uint8)), condition


def textures(pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.int64]:
    """Of each picture 0, 1 or 2: to which third it belongs by the mean gradient of its thumbnail."""
    gradients = []
    for picture in pictures:
        small = cv2.resize(picture, (64, 64), interpolation=cv2.INTER_AREA).astype(np.float64)
        gradients.append(np.hypot(*np.gradient(small)).mean())
    return 3 * np.argsort(np.argsort(gradients)) // len(gradients)


def judge(found: Sequence[Found], scene: Scene, counts: NDArray[np.bool_]) -> tuple[NDArray[np.float64], int, int]:
    """Of each true template the error of its corners, infinite where it is not found; then the number of right and of
    false finds."""
    errors, false = np.full(len(scene.corners), np.inf), 0
    corners = np.array([each.corners for each in found], np.float32).reshape(-1, 4, 2)
    overlaps = polygon_iou(corners, scene.corners)
    for row, each in enumerate(found):
        if each.number is not None:
            overlaps[row, scene.templates != each.number] = 0.0
    matches = match_quads(overlaps, [each.score for each in found], LEAST_IOU)
    right = 0
    for row, match in enumerate(matches):
        if match >= 0:
            errors[match] = np.hypot(*(corners[row] - scene.corners[match]).T).mean()
            right += int(counts[match])
        else:
            false += not bool((overlaps[row][~counts] > 0.3).any())  # a rough find of what need not be found
    return errors, right, false


def numbers_of(scene: Scene, pictures: Sequence[object], absent: int, index: int) -> list[int]:
    """The templates that are looked for: those of the scene, and some others of a tenth of all."""
    present = set(scene.templates.tolist())
    rng = sample_generator(0, "absent templates", index)
    pool = [number for number in range(0, len(pictures), 10) if number not in present]
    return sorted(present | set(rng.choice(pool, min(absent, len(pool)), replace=False).tolist()))


def report(truths: Sequence[Truth], tallies: Mapping[str, Mapping[str, float]], methods: Sequence[str]) -> str:
    """Tables of recall by group, of the corners, and of what is false."""
    recall, corners = [], []
    for group, chosen in GROUPS.items():
        errors = {name: np.array([each.errors[name] for each in truths if chosen(each)]) for name in methods}
        count = str(len(errors[methods[0]]))
        recall.append([group, count, *(f"{np.isfinite(errors[name]).mean():.3f}" for name in methods)])
        within = [" / ".join(f"{(errors[name] <= limit).mean():.2f}" for limit in WITHIN) for name in methods]
        corners.append([group, count, *within])
    scenes = tallies[methods[0]]["scenes"]
    sums = [
        [
            name,
            f"{tally['right'] / max(1, tally['right'] + tally['false']):.3f}",
            f"{100 * tally['false'] / scenes:.1f}",
            f"{1000 * tally['seconds'] / scenes:.0f}",
        ]
        for name, tally in tallies.items()
    ]
    return "\n\n".join(
        [
            aligned(["method", "precision", "false finds in 100 scenes", "ms a scene"], sums),
            aligned(["recall at IoU 0.75", "templates", *methods], recall),
            aligned(["corners within 1 / 3 / 5 px", "templates", *methods], corners),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--scenes", type=int, default=100)
    parser.add_argument("--holdout", type=float, default=None)
    parser.add_argument("--weights", default="superpoint-small")
    parser.add_argument("--proposals", default="quads")
    parser.add_argument("--verifier", default="verifier")
    parser.add_argument("--absent", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+")
    parser.add_argument("--out", type=Path, default=Path("runs/locate_scenes"))
    arguments = parser.parse_args()
    files = Pictures((), [arguments.pictures])
    pictures = files if arguments.holdout is None else files.split(arguments.holdout)[1]
    best = DecodeSettings(max_keypoints=LocateSettings().most_compared)
    extractor = Extractor.load(arguments.weights, best, "cpu")
    network = load_weights(resolve_planar(arguments.verifier).path, VerifierNetwork)[0].eval()
    proposing, sure = (
        QuadDetector.from_pretrained(arguments.proposals, settings) for settings in (PROPOSING, QuadSettings(0.3))
    )
    known: dict[int, Template] = {}
    methods: dict[str, Method] = {
        "locate": ByLocator(pictures, extractor, known, proposing, network),
        "keypoints": ByLocator(pictures, extractor, known, None, None),
        "SIFT": once(pictures, cv2.SIFT_create(), MatchSettings(ratio=0.8)),
        "ORB": once(pictures, cv2.ORB_create(LocateSettings().most_compared), MatchSettings()),
        "detector": alone(sure),
    }
    methods = {name: methods[name] for name in arguments.only or methods}
    stream, texture = SceneStream(pictures, pictures, arguments.seed, stream="evaluation"), textures(pictures)
    truths: list[Truth] = []
    tallies: dict[str, dict[str, float]] = {name: defaultdict(float) for name in methods}
    for index in range(arguments.scenes):
        scene, condition = in_condition(stream, index)
        true: TrueQuads = describe(scene, pictures)
        counts = (true.visible >= LEAST_VISIBLE) & (true.side >= SMALLEST_SIDE)
        numbers = numbers_of(scene, pictures, arguments.absent, index)
        for number in numbers:
            if number not in known:
                known[number] = describe_template(str(number), pictures[number], extractor)
        errors = {}
        for name, method in methods.items():
            start = time.perf_counter()
            found = method(scene.image.astype(np.float32) / 255, numbers)
            tallies[name]["seconds"] += time.perf_counter() - start
            errors[name], right, false = judge(found, scene, counts)
            for key, value in (("right", right), ("false", false), ("scenes", 1)):
                tallies[name][key] += value
        for row in np.flatnonzero(counts):
            of_row = {name: float(each[row]) for name, each in errors.items()}
            number, seen = int(scene.templates[row]), float(true.visible[row])
            item = Truth(float(true.side[row]), float(true.angle[row]), seen, condition, int(texture[number]), of_row)
            truths.append(item)
        if (index + 1) % _PART == 0 or index + 1 == arguments.scenes:
            write(arguments, index + 1, truths, tallies)
    print(report(truths, tallies, list(methods)))


def write(
    arguments: argparse.Namespace, scenes: int, truths: Sequence[Truth], tallies: Mapping[str, Mapping[str, float]]
) -> None:
    """What was measured on so many scenes, the first ones of any number, as JSON."""
    arguments.out.mkdir(parents=True, exist_ok=True)
    settings = {name: str(value) for name, value in vars(arguments).items()}
    content = {"settings": settings, "measured": scenes, "methods": tallies}
    items = [dataclasses.asdict(truth) for truth in truths]
    text = json.dumps({**content, "templates": items}, indent=1) + "\n"
    (arguments.out / "locate_scenes.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
