"""How far two views may differ in scale, and be turned against each other, until they no longer match.

    python benchmarks/scale_and_turn.py IMAGE ... [--weights superpoint-small] [--out FOLDER]

Each photograph, at most 640 pixels on its longer side, is matched with itself: shrunk by a factor from 1 to 6 and
turned by 10 degrees, or turned by 0 to 180 degrees at its own size. A pair is right where the homography that is found
takes the corners of the photograph to within 3 pixels, in the mean, of their places in the second view. Compared are
the network at one scale, in the mean over three sizes (`--averaged`), at three scales (`--scales 1 0.5 0.25`), at one
in four quarter turns (`--turns`), at three in four turns, and OpenCV's SIFT; the best 1000 keypoints of each, mutual
nearest neighbours. The folder gets scale_and_turn.json and scale_and_turn.png.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from magicpoint import DecodeSettings, Extractor, estimate_homography, match_features, read_image
from magicpoint.core.types import Features
from magicpoint.inference.pyramid import OCTAVES
from magicpoint.inference.turns import match_turns
from magicpoint.io.images import shrink

Grey = NDArray[np.float32]
Homography = NDArray[np.float64]
Find = Callable[[Grey, Grey], Homography | None]

LONGEST_SIDE, KEYPOINTS, LARGEST_ERROR = 640, 1000, 3.0
SCALES = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
ANGLES = tuple(range(0, 181, 15))
TURN_OF_SCALED = 10.0


def second_view(grey: Grey, scale: float, degrees: float) -> tuple[Grey, Homography]:
    """The image shrunk by a factor and turned around its middle, all of it in view, and `H_0to1` to it."""
    height, width = grey.shape
    small = cv2.resize(grey, (round(width / scale), round(height / scale)), interpolation=cv2.INTER_AREA)
    h, w = small.shape
    side = int(np.ceil(np.hypot(w, h)))
    shrunk = np.array([[w / width, 0, (w / width - 1) / 2], [0, h / height, (h / height - 1) / 2], [0, 0, 1]])
    turned = np.vstack([cv2.getRotationMatrix2D(((w - 1) / 2, (h - 1) / 2), degrees, 1.0), [0, 0, 1]])
    turned[:2, 2] += (side - w) / 2, (side - h) / 2
    view = cv2.warpPerspective(small, turned, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(view, np.float32), turned @ shrunk


def is_right(found: Homography | None, truth: Homography, image_size: tuple[int, int]) -> bool:
    """Whether the corners of image 0 are taken to within 3 pixels, in the mean, of where they are."""
    if found is None:
        return False
    width, height = image_size
    corners = np.array([[0, 0, 1], [width - 1, 0, 1], [0, height - 1, 1], [width - 1, height - 1, 1]], float).T
    places = [(H @ corners)[:2] / (H @ corners)[2] for H in (found, truth)]
    return float(np.linalg.norm(places[0] - places[1], axis=0).mean()) < LARGEST_ERROR


def matched(features0: Features, features1: Features) -> Homography | None:
    """The homography on which mutual nearest neighbours agree."""
    index0, index1 = match_features(features0, features1).matches01.T
    estimate = estimate_homography(features0.keypoints[index0], features1.keypoints[index1])
    return None if estimate is None else estimate.H_0to1


def sift(grey0: Grey, grey1: Grey) -> Homography | None:
    """The same of SIFT."""
    detector, features = cv2.SIFT_create(KEYPOINTS), []
    for grey in (grey0, grey1):
        keypoints, descriptors = detector.detectAndCompute(np.rint(grey * 255).astype(np.uint8), None)
        points = torch.tensor([keypoint.pt for keypoint in keypoints]).reshape(-1, 2)
        unit = torch.nn.functional.normalize(torch.from_numpy(descriptors), dim=1)
        features.append(Features(points, torch.zeros(len(points)), unit, grey.shape[::-1]))
    return matched(*features)


def methods(weights: str) -> Mapping[str, Find]:
    """What is compared, by name."""
    settings = DecodeSettings(max_keypoints=KEYPOINTS)
    one, three = (Extractor.load(weights, settings, "cpu", scales=scales) for scales in ((1.0,), OCTAVES))
    averaged = Extractor.load(weights, settings, "cpu", averaged=True)

    def plain(extractor: Extractor) -> Find:
        return lambda grey0, grey1: matched(extractor.extract(grey0), extractor.extract(grey1))

    def in_turns(extractor: Extractor) -> Find:
        def find(grey0: Grey, grey1: Grey) -> Homography | None:
            geometry = match_turns(extractor.extract(grey0), grey1, extractor).geometry
            return None if geometry is None else geometry.matrix

        return find

    return {
        "one scale": plain(one),
        "averaged": plain(averaged),
        "three scales": plain(three),
        "one scale, four turns": in_turns(one),
        "three scales, four turns": in_turns(three),
        "SIFT": sift,
    }


def measure(
    images: Sequence[Grey], find: Find, changes: Sequence[tuple[float, float]]
) -> tuple[list[float], list[float]]:
    """The share of right pairs for each change (scale, degrees), and its median milliseconds of a pair."""
    shares, times = [], []
    for scale, degrees in changes:
        right, seconds = [], []
        for grey in images:
            view, truth = second_view(grey, scale, degrees)
            start = time.perf_counter()
            found = find(grey, view)
            seconds.append(time.perf_counter() - start)
            right.append(is_right(found, truth, grey.shape[::-1]))
        shares.append(float(np.mean(right)))
        times.append(1e3 * float(np.median(seconds)))
    return shares, times


def draw(results: Mapping[str, Mapping[str, Sequence[float]]], out: Path) -> None:
    """Both curves of each method."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(10, 3.6), layout="constrained", sharey=True)
    for axis, places, curve, label in (
        (axes[0], SCALES, "scale", "factor of scale (turned by 10 degrees)"),
        (axes[1], ANGLES, "angle", "turned by degrees"),
    ):
        for name, result in results.items():
            axis.plot(
                places, result[curve], marker="o", markersize=3, label=name, linestyle="--" if name == "SIFT" else "-"
            )
        axis.set_xlabel(label)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("share of pairs within 3 px")
    axes[1].legend(loc="lower left", fontsize=8)
    figure.savefig(out, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", nargs="+", type=Path)
    parser.add_argument("--weights", default="superpoint-small")
    parser.add_argument("--out", type=Path, default=Path("runs/scale_and_turn"))
    arguments = parser.parse_args()
    images = [shrink(read_image(path), LONGEST_SIDE) for path in arguments.images]
    results = {}
    for name, find in methods(arguments.weights).items():
        scale, times = measure(images, find, [(factor, TURN_OF_SCALED) for factor in SCALES])
        angle, _ = measure(images, find, [(1.0, float(degrees)) for degrees in ANGLES])
        results[name] = {"scale": scale, "angle": angle, "milliseconds": times[:1]}
        print(f"{name:26s} scale {' '.join(f'{share:.2f}' for share in scale)}   {times[0]:.0f} ms a pair", flush=True)
        print(f"{'':26s} angle {' '.join(f'{share:.2f}' for share in angle)}", flush=True)
    arguments.out.mkdir(parents=True, exist_ok=True)
    about = {"weights": arguments.weights, "images": len(images), "scales": SCALES, "angles": ANGLES}
    (arguments.out / "scale_and_turn.json").write_text(json.dumps({**about, "results": results}, indent=1))
    draw(results, arguments.out / "scale_and_turn.png")


if __name__ == "__main__":
    main()
