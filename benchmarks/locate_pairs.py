"""Known things found in photographs: `magicpoint locate` beside keypoints matched once.

    python benchmarks/locate_pairs.py PAIRS [--weights superpoint-small] [--proposals quads] [--verifier verifier]
        [--views 5] [--out FOLDER]

PAIRS has the layout of HPatches. The middle part of each sequence's first image, half as wide and as high, is a
template; the other images are scenes, at their size and at a half and a quarter of it, blurred by a Gaussian of 2
pixels, and with noise of 20 grey levels. Compared are the locator, its keypoints alone (without proposals and
verifier), the same network's keypoints matched once and MAGSAC++, SIFT (ratio 0.8) and ORB with MAGSAC++, each with the
best 1500 keypoints of a scene, and the detector alone, whose best quadrilateral counts. A find is right where its
quadrilateral and the true one have an IoU of 0.75 or more. Another sequence's template is looked for in each scene,
too: whatever is found of it is a false alarm. The folder gets locate_pairs.json.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from homography import warp_points
from homography.warp import resizing
from magicpoint import DecodeSettings, Extractor, estimate_homography, match_features, read_image
from magicpoint.core.types import Features
from magicpoint.data.hpatches import find_sequences, read_homography
from magicpoint.matching.settings import MatchSettings
from magicpoint.model.weights import load_weights, resolve_planar
from magicpoint.planar.detector import QuadDetector
from magicpoint.planar.locate import PROPOSING, Locator
from magicpoint.planar.located import corners_in_scene
from magicpoint.planar.polygons import polygon_iou
from magicpoint.planar.templates import Template, describe_template
from magicpoint.planar.verify.network import VerifierNetwork
from magicpoint.planar.verify.verifier import Verifier

Grey = NDArray[np.float32]
Find = Callable[[str, Grey, Grey], NDArray[np.float64] | None]
"""From a template's name, the template and a scene to the corners (4, 2) of the best find."""

KEYPOINTS, LEAST_IOU, LEAST_INLIERS = 1500, 0.75, 12
WITHIN = (1, 3, 5)


class Scene(NamedTuple):
    """A scene, and where the template's corners are in it."""

    image: Grey
    corners: NDArray[np.float64]


def smaller(factor: float) -> Callable[[Scene], Scene]:
    """The scene shrunk by a factor."""

    def change(scene: Scene) -> Scene:
        height, width = scene.image.shape
        size = round(width / factor), round(height / factor)
        image = cv2.resize(scene.image, size, interpolation=cv2.INTER_AREA)
        return Scene(np.asarray(image, np.float32), warp_points(scene.corners, resizing((width, height), size)))

    return change


def blurred(scene: Scene) -> Scene:
    """The scene behind a Gaussian of 2 pixels."""
    return scene._replace(image=np.asarray(cv2.GaussianBlur(scene.image, (0, 0), 2.0), np.float32))


def noisy(scene: Scene) -> Scene:
    """The scene with noise of 20 grey levels, the same for all methods."""
    noise = np.random.default_rng(0).normal(0, 20 / 255, scene.image.shape)
    return scene._replace(image=np.clip(scene.image + noise, 0, 1).astype(np.float32))


CONDITIONS: dict[str, Callable[[Scene], Scene]] = {
    "as it is": lambda scene: scene,
    "half size": smaller(2),
    "quarter size": smaller(4),
    "blurred": blurred,
    "noisy": noisy,
}


def once(extract: Callable[[Grey], Features], settings: MatchSettings) -> Find:
    """Keypoints of both, matched once, and MAGSAC++."""

    def find(name: str, template: Grey, scene: Grey) -> NDArray[np.float64] | None:
        features0, features1 = extract(template), extract(scene)
        index0, index1 = match_features(features0, features1, settings).matches01.T
        estimate = estimate_homography(features0.keypoints[index0], features1.keypoints[index1])
        if estimate is None or estimate.inliers.sum() < LEAST_INLIERS:
            return None
        return corners_in_scene(estimate.H_0to1, template.shape[::-1], scene.shape[::-1])

    return find


def of_opencv(detector: cv2.Feature2D) -> Callable[[Grey], Features]:
    """Features of OpenCV; binary descriptors as the signs of their bits."""

    def extract(grey: Grey) -> Features:
        keypoints, found = detector.detectAndCompute(np.rint(grey * 255).astype(np.uint8), None)
        values = np.zeros((0, 32), np.uint8) if found is None else found
        if values.dtype == np.uint8:
            values = np.unpackbits(values, axis=1).astype(np.float32) * 2 - 1
        places = torch.tensor([keypoint.pt for keypoint in keypoints], dtype=torch.float32).reshape(-1, 2)
        unit = torch.nn.functional.normalize(torch.from_numpy(values.astype(np.float32)), dim=1)
        return Features(places, torch.zeros(len(places)), unit, grey.shape[::-1])

    return extract


def locators(extractor: Extractor, proposals: str, verifier: str) -> dict[str, Find]:
    """`magicpoint locate`, and the same without proposals and verifier; what is known of a template is kept."""
    detector = QuadDetector.from_pretrained(proposals, PROPOSING, "cpu")
    network = load_weights(resolve_planar(verifier).path, VerifierNetwork)[0]
    known: dict[str, Template] = {}

    def whole(name: str, template: Grey) -> Locator:
        return Locator({name: known[name]}, extractor, None, detector, Verifier({name: template}, network))

    def alone(name: str, template: Grey) -> Locator:
        return Locator({name: known[name]}, extractor)

    def by(locator: Callable[[str, Grey], Locator]) -> Find:
        def find(name: str, template: Grey, scene: Grey) -> NDArray[np.float64] | None:
            if name not in known:
                known[name] = describe_template(name, template, extractor)
            found = locator(name, template).locate(scene)
            return found[0].corners.astype(np.float64) if found else None

        return find

    return {"locate": by(whole), "keypoints alone": by(alone)}


def by_detector(proposals: str) -> Find:
    """The best quadrilateral, whatever it shows."""
    detector = QuadDetector.from_pretrained(proposals, device="cpu")

    def find(name: str, template: Grey, scene: Grey) -> NDArray[np.float64] | None:
        quads = detector.detect(scene)
        return quads.corners[0].astype(np.float64) if len(quads) else None

    return find


def methods(weights: str, proposals: str, verifier: str) -> Mapping[str, Find]:
    """What is compared, by name."""
    extractor = Extractor.load(weights, DecodeSettings(max_keypoints=KEYPOINTS), "cpu")
    return {
        **locators(extractor, proposals, verifier),
        "keypoints once": once(extractor.extract, MatchSettings()),
        "SIFT": once(of_opencv(cv2.SIFT_create(KEYPOINTS)), MatchSettings(ratio=0.8)),
        "ORB": once(of_opencv(cv2.ORB_create(KEYPOINTS)), MatchSettings()),
        "detector alone": by_detector(proposals),
    }


def scenes_of(folder: Path, views: int) -> dict[str, tuple[Grey, list[Scene]]]:
    """Template and scenes, so many at most, of each sequence."""
    found = {}
    for sequence in find_sequences(folder):
        first = read_image(sequence.reference)
        height, width = first.shape
        x, y, w, h = width // 4, height // 4, width // 2, height // 2
        shift = np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], float)
        scenes = []
        for view in sequence.views[:views]:
            image = read_image(view.image)
            corners = corners_in_scene(read_homography(view.homography) @ shift, (w, h), image.shape[::-1])
            if corners is not None:
                scenes.append(Scene(image, corners))
        found[sequence.name] = np.ascontiguousarray(first[y : y + h, x : x + w]), scenes
    return found


def measure(
    find: Find, material: Mapping[str, tuple[Grey, list[Scene]]], change: Callable[[Scene], Scene]
) -> dict[str, float]:
    """Recall, corner errors and false alarms over all scenes."""
    right, false, errors, seconds = [], [], [], []
    names = list(material)
    for number, (name, (template, scenes)) in enumerate(material.items()):
        other = names[(number + 1) % len(names)]
        for scene in map(change, scenes):
            start = time.perf_counter()
            corners = find(name, template, scene.image)
            seconds.append(time.perf_counter() - start)
            overlap = 0.0 if corners is None else float(polygon_iou(corners[None], scene.corners[None])[0, 0])
            right.append(overlap >= LEAST_IOU)
            if corners is not None:
                false.append(overlap < LEAST_IOU)
            errors.append(np.inf if corners is None else float(np.hypot(*(corners - scene.corners).T).mean()))
            if len(names) > 1:
                false.append(find(other, material[other][0], scene.image) is not None)
    within = {f"within {limit} px": float(np.mean(np.array(errors) <= limit)) for limit in WITHIN}
    return {
        "recall": float(np.mean(right)),
        **within,
        "false alarms": int(np.sum(false)),
        "scenes": len(right),
        "milliseconds": 1e3 * float(np.median(seconds)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--weights", default="superpoint-small")
    parser.add_argument("--proposals", default="quads")
    parser.add_argument("--verifier", default="verifier")
    parser.add_argument("--views", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("runs/locate_pairs"))
    arguments = parser.parse_args()
    material = scenes_of(arguments.pairs, arguments.views)
    results: dict[str, dict[str, dict[str, float]]] = {}
    print("| scenes | method | recall | 1 / 3 / 5 px | false alarms | ms |\n|---|---|---|---|---|---|")
    compared = methods(arguments.weights, arguments.proposals, arguments.verifier)
    for condition, change in CONDITIONS.items():
        for name, find in compared.items():
            found = measure(find, material, change)
            results.setdefault(condition, {})[name] = found
            within = " / ".join(f"{found[f'within {limit} px']:.2f}" for limit in WITHIN)
            row = f"{found['recall']:.2f} | {within} | {found['false alarms']} | {found['milliseconds']:.0f}"
            print(f"| {condition} | {name} | {row} |", flush=True)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "locate_pairs.json").write_text(
        json.dumps({"weights": arguments.weights, "results": results}, indent=1)
    )


if __name__ == "__main__":
    main()
