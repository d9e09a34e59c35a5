"""The time of a learned matcher against the number of keypoints, beside mutual nearest neighbours.

The images are a photograph and itself turned and shrunk a little, so that a layer can be sure early; the time of all
layers does not depend on what they show. CPU time is that of all threads together.

    python benchmarks/matcher_speed.py --weights superpoint-small --threads 2
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch

from homography import warp_image
from magicpoint import DecodeSettings, Extractor, Features, LearnedMatcher, LearnedSettings, match_features
from magicpoint.core.machine import keep_freed_memory

PHOTOGRAPH = Path(__file__).parents[1] / "notebooks" / "images" / "cameraman.png"
COUNTS = (256, 512, 1000, 2048)
REPEATS = 7
H_0to1 = np.array([[0.85, -0.15, 60.0], [0.15, 0.85, -40.0], [0.0, 0.0, 1.0]])


def features(weights: str, count: int) -> tuple[Features, Features]:
    """Of the photograph at 960x1280 and of a view of it."""
    image = cv2.resize(cv2.imread(str(PHOTOGRAPH), cv2.IMREAD_GRAYSCALE), (1280, 960), interpolation=cv2.INTER_CUBIC)
    extractor = Extractor.load(weights, DecodeSettings(max_keypoints=count, threshold=0.0), device="cpu")
    view = warp_image(image, H_0to1)
    return extractor.extract(image), extractor.extract(view)


def milliseconds(call: Callable[[], object]) -> tuple[float, float]:
    """The least of wall time and of CPU time; the first call does not count."""
    call()
    wall, processor = [], []
    for _ in range(REPEATS):
        begun = time.perf_counter(), time.process_time()
        call()
        wall.append(time.perf_counter() - begun[0])
        processor.append(time.process_time() - begun[1])
    return 1000 * min(wall), 1000 * min(processor)


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="superpoint-small")
    parser.add_argument("--matcher", default=None, help="Its file; by default the one that ships.")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()
    ways = {
        "nearest": None,
        "all layers": LearnedSettings(),
        "stop, prune": LearnedSettings(stop_share=0.95, prune=True),
    }
    print("| keypoints | way | matches | ms | ms of CPU |")
    for count in COUNTS:
        sides = features(arguments.weights, count)
        for name, settings in ways.items():
            matcher = (
                None if settings is None else LearnedMatcher.load(arguments.matcher or arguments.weights, settings)
            )
            wall, processor = milliseconds(lambda sides=sides, matcher=matcher: match_features(*sides, matcher))
            found = match_features(*sides, matcher)
            sizes = f"{len(sides[0])}, {len(sides[1])}"
            print(f"| {sizes} | {name} | {len(found)} | {wall:.1f} | {processor:.1f} |")


if __name__ == "__main__":
    main()
