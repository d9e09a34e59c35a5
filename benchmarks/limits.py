"""Where the networks end: rotation, scale, blur, low contrast and night, and what int8 keeps there.

    python benchmarks/limits.py [--images FOLDER] [--weights NAME ...] [--int8]

Prints a table with a row for each change of the images and a column for each network. Without `--int8` a value is the
number of matches that are right, to 3 pixels, of 100 keypoints of an image with its changed self (mutual nearest
neighbours, no other test); only keypoints that both show are counted. With it, the percentage of the keypoints of
float32 that int8 has within a pixel, of the changed images and of rendered shapes that were changed likewise.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from homography import warp_image, warp_points
from magicpoint import DecodeSettings, Extractor, match_features
from magicpoint.core.types import Features
from magicpoint.io.finding import find_images
from magicpoint.io.images import read_image, shrink
from magicpoint.measures.agreement import compare_features
from synthetic_shapes import ShapeSettings, render_sample

Grey = NDArray[np.float32]
IMAGES = Path(__file__).parents[1] / "notebooks" / "images"
NETWORKS = ("superpoint", "superpoint-small", "superpoint-tiny")
SETTINGS = DecodeSettings(max_keypoints=500)
LONGEST_SIDE, TOLERANCE = 512, 3.0


def turned(degrees: float, scale: float = 1.0) -> Callable[[int, int], NDArray[np.float64]]:
    """The homography that turns an image (W, H) about its centre and shrinks it."""

    def homography(width: int, height: int) -> NDArray[np.float64]:
        upper = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1 / scale)
        return np.vstack([upper, [0, 0, 1]])

    return homography


def noisy(grey: Grey, sigma: float) -> Grey:
    """Additive noise, and 8 bits."""
    drawn = np.random.default_rng(0).normal(0, sigma, grey.shape)
    return (np.rint((grey + drawn).clip(0, 1) * 255) / 255).astype(np.float32)


GEOMETRY = {
    **{f"turned by {degrees}°": turned(degrees) for degrees in (10, 20, 30, 45, 60, 90, 135, 180)},
    **{f"shrunk by {scale:g}": turned(0, scale) for scale in (1.25, 1.5, 2, 2.5, 3, 4)},
}
LIGHT: dict[str, Callable[[Grey], Grey]] = {
    **{f"blur, sigma {s:g} px": (lambda grey, s=s: cv2.GaussianBlur(grey, (0, 0), s)) for s in (1, 2, 3, 4)},
    **{f"contrast {c:g}": (lambda grey, c=c: noisy(0.5 + (grey - 0.5) * c, 0)) for c in (0.5, 0.25, 0.1, 0.05)},
    **{f"noise {n} of 255": (lambda grey, n=n: noisy(grey, n / 255)) for n in (10, 20, 40)},
    **{f"night {g:g}": (lambda grey, g=g: noisy(grey**2.2 * g, 2 / 255)) for g in (0.5, 0.25, 0.1, 0.05)},
}
"""night: the light fades with the power 2.2 and the factor, and the sensor adds noise of two grey levels."""

HARD = ("contrast 0.25", "contrast 0.1", "noise 20 of 255", "night 0.25", "blur, sigma 2 px")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, default=IMAGES)
    parser.add_argument("--weights", nargs="+", default=list(NETWORKS))
    parser.add_argument("--int8", action="store_true")
    arguments = parser.parse_args()
    greys = [shrink(read_image(path), LONGEST_SIDE) for path in find_images([arguments.images]).values()]
    rows = kept_by_int8(arguments.weights, greys) if arguments.int8 else right_matches(arguments.weights, greys)
    print(f"{len(greys)} photographs\n\n| change | {' | '.join(arguments.weights)} |")
    print("|---" * (1 + len(arguments.weights)) + "|")
    for name, values in rows.items():
        print(f"| {name} | {' | '.join(f'{value:.0f}' for value in values)} |")


def right_matches(weights: list[str], greys: list[Grey]) -> dict[str, list[float]]:
    """By change, the percentage of keypoints that are matched rightly, of each network."""
    rows: dict[str, list[float]] = {name: [] for name in (*GEOMETRY, *LIGHT)}
    for name in weights:
        extractor = Extractor.load(name, SETTINGS)
        firsts = [extractor.extract(grey) for grey in greys]
        for change, homography in GEOMETRY.items():
            shares = []
            for grey, first in zip(greys, firsts, strict=True):
                H = homography(*grey.shape[::-1])
                shares.append(share_right(first, extractor.extract(warped(grey, H)), H))
            rows[change].append(100 * float(np.mean(shares)))
        for change, alter in LIGHT.items():
            seconds = [extractor.extract(alter(grey)) for grey in greys]
            shares = [share_right(*pair, np.eye(3)) for pair in zip(firsts, seconds, strict=True)]
            rows[change].append(100 * float(np.mean(shares)))
    return rows


def warped(grey: Grey, H: NDArray[np.float64]) -> Grey:
    """The view of an image; it is blurred before it is shrunk, so that nothing has an alias."""
    scale = 1 / np.sqrt(abs(np.linalg.det(H)))
    soft = cv2.GaussianBlur(grey, (0, 0), 0.5 * np.sqrt(scale**2 - 1)) if scale > 1.01 else grey
    return np.asarray(warp_image(soft, H), np.float32).clip(0, 1)


def share_right(first: Features, second: Features, H: NDArray[np.float64]) -> float:
    """The share of the keypoints of an image, of those that its view shows, whose match is right."""
    width, height = second.image_size
    places = warp_points(first.keypoints.numpy().astype(np.float64), H)
    seen = ((places > 8) & (places < np.array([width, height]) - 9)).all(axis=1)
    index0, index1 = match_features(first, second).matches01.numpy().T
    distance = np.linalg.norm(places[index0] - second.keypoints.numpy()[index1], axis=1)
    return float((seen[index0] & (distance <= TOLERANCE)).sum() / max(1, seen.sum()))


def hard_images(greys: list[Grey]) -> dict[str, list[Grey]]:
    """By change, photographs and rendered shapes: those as they are, and those of `HARD`."""
    shapes = [render_sample(7, number, ShapeSettings((240, 320)), "test")[0] for number in range(9)]
    every = [*greys, *(shape.astype(np.float32) / 255 for shape in shapes)]
    return {"as they are": every, **{name: [LIGHT[name](grey) for grey in every] for name in HARD}}


def kept_by_int8(weights: list[str], greys: list[Grey]) -> dict[str, list[float]]:
    """By change, the percentage of float32's keypoints that int8 has within a pixel, of each network."""
    images = hard_images(greys)
    rows: dict[str, list[float]] = {name: [] for name in images}
    for name in weights:
        exact, whole = Extractor.load(name, SETTINGS, "cpu"), Extractor.load(name, SETTINGS, precision="int8")
        for change, changed in images.items():
            agreement = compare_features(exact.extract_batch(changed), whole.extract_batch(changed))
            rows[change].append(100 * agreement.found)
    return rows


if __name__ == "__main__":
    main()
