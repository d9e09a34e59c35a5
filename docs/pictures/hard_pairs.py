"""Draws `hard_tilt.jpg` and `hard_repeats.jpg`: pairs that are hard to match, by nearest neighbours and by a matcher.

What is right is known: the second view is made of the first. Right matches are in colour, wrong ones red.

    python docs/pictures/hard_pairs.py superpoint
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from homography import warp_image
from magicpoint import DecodeSettings, Extractor, Features, LearnedMatcher, Matches, match_features, read_image
from magicpoint.core.errors import MagicpointError
from magicpoint.measures.matches import match_errors
from magicpoint.pictures.canvas import add_legend
from magicpoint.pictures.matches import draw_matches
from synthetic_shapes import ShapeSettings, render_sample

FOLDER = Path(__file__).parent
PHOTOGRAPH = FOLDER.parents[1] / "notebooks" / "images" / "cameraman.png"
NEAR = 3.0

Grey = NDArray[np.float32]
Picture = NDArray[np.uint8]
Matrix = NDArray[np.float64]


def photograph() -> tuple[Grey, Grey, Matrix]:
    """The photograph, and seen from the side, from farther away, in half of the light by a noisy sensor."""
    image = cv2.resize(read_image(PHOTOGRAPH), (384, 384), interpolation=cv2.INTER_AREA)
    corners = np.array([[0, 0], [383, 0], [383, 383], [0, 383]], np.float32)
    seen = np.array([[40, 90], [300, 20], [330, 330], [60, 250]], np.float32)
    H_0to1 = cv2.getPerspectiveTransform(corners, seen).astype(np.float64)
    return as_grey(image), as_grey(noisy(0.5 * warp_image(image, H_0to1), 0.008)), H_0to1


def wall() -> tuple[Grey, Grey, Matrix]:
    """A wall of the same window again and again with something else here and there, and a step to the side."""
    image = np.full((360, 480), 170, np.float64)
    for top in range(20, 340, 56):
        for left in range(20, 440, 64):
            cv2.rectangle(image, (left, top), (left + 40, top + 36), 60, cv2.FILLED)
            cv2.rectangle(image, (left + 4, top + 4), (left + 17, top + 32), 120, cv2.FILLED)
            cv2.rectangle(image, (left + 22, top + 4), (left + 36, top + 32), 130, cv2.FILLED)
    for number, (x, y) in enumerate([(84, 132), (276, 76), (340, 244), (148, 300)]):
        shape = render_sample(0, number, ShapeSettings(shapes=("multiple_polygons",), size_hw=(48, 64))).image
        image[y - 24 : y + 24, x - 32 : x + 32] = shape
    H_0to1 = np.array([[0.9, -0.08, -70.0], [0.05, 0.95, 10.0], [1e-4, 1e-4, 1.0]])
    grey = (image / 255).astype(np.float32)
    return as_grey(noisy(grey, 0.003)), as_grey(noisy(warp_image(grey, H_0to1), 0.006)), H_0to1


def noisy(values: NDArray[Any], sigma: float) -> NDArray[Any]:
    """With the noise of a sensor where there is anything to be seen."""
    noise = np.random.default_rng(0).normal(0, sigma, values.shape)
    return np.asarray(values + noise * (values > 0))


def as_grey(values: NDArray[Any]) -> Grey:
    """Values in [0, 1], in steps of a grey level."""
    return np.asarray(np.rint(values.clip(0, 1) * 255) / 255, np.float32)


def draw(
    images: tuple[Grey, Grey], features: tuple[Features, Features], matches: Matches, H_0to1: Matrix, name: str
) -> Picture:
    """The picture of some matches, and below it how many are right."""
    right = match_errors(*features, matches, H_0to1) <= NEAR
    picture = draw_matches(*images, *features, matches, right)
    return add_legend(picture, [(f"{name}: {int(right.sum())} right, {int((~right).sum())} wrong", None)])


def main(weights: str, matcher: str) -> None:
    """Writes both pictures and prints their figures."""
    extractor = Extractor.load(weights, DecodeSettings(max_keypoints=400), device="cpu")
    learned = LearnedMatcher.load(matcher)
    for name, make in (("hard_tilt", photograph), ("hard_repeats", wall)):
        image0, image1, H_0to1 = make()
        features = extractor.extract(image0), extractor.extract(image1)
        ways = {"nearest neighbours": match_features(*features), "learned": match_features(*features, learned)}
        rows = [draw((image0, image1), features, matches, H_0to1, way) for way, matches in ways.items()]
        sheet = cv2.cvtColor(np.concatenate(rows), cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(FOLDER / f"{name}.jpg"), sheet, [cv2.IMWRITE_JPEG_QUALITY, 88])
        for way, matches in ways.items():
            right = match_errors(*features, matches, H_0to1) <= NEAR
            print(f"{name}, {way}: {len(matches)} matches, {int(right.sum())} right")


if __name__ == "__main__":
    try:
        main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else sys.argv[1])
    except MagicpointError as error:
        sys.exit(str(error))
