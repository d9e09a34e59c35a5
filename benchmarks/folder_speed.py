"""Images a second of `magicpoint extract` over a folder, against the network's own rate on the same images in memory.

    python benchmarks/folder_speed.py FOLDER [--images 300] [--weights magicpoint] [--block 50] [--json FILE] [--make]

The two take turns on blocks of images, so that a change of the machine's speed meets both. The network's own rate
counts from grey values in memory to keypoints; the whole also reads, decodes and hashes files and writes the HDF5 file.
Processor time, unlike the clock, does not count what other processes take of a busy machine. `--make` fills the folder
with PNG photographs of 0.6 megapixels: parts of one, turned, with noise.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from extract_variants import PHOTOGRAPH
from figures import Figure, save

from magicpoint.core.machine import keep_freed_memory
from magicpoint.inference.extractor import Extractor
from magicpoint.io.finding import find_images
from magicpoint.io.images import read_image, read_picture, write_png
from magicpoint.io.per_image import process_images
from magicpoint.io.stream import LOADERS
from magicpoint.io.unfinished import UnfinishedFeatures


def now() -> tuple[float, float]:
    """Seconds of the clock and of the processor, over all threads of this process."""
    return time.perf_counter(), time.process_time()


def run_network(extractor: Extractor, images: dict[str, Path]) -> tuple[float, float]:
    greys = [read_image(path) for path in images.values()]
    start = now()
    for grey in greys:
        extractor.extract(grey)
    return start


def run_whole(extractor: Extractor, images: dict[str, Path]) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        start = now()
        unfinished = UnfinishedFeatures(Path(folder) / "features.h5", extractor.provenance)
        workers = extractor.workers
        process_images(
            images, unfinished, lambda _, image: extractor.extract(image.grey), progress=False, workers=workers
        )
        return start


def make_photographs(folder: Path, count: int) -> None:
    """PNG photographs of 928x640 pixels in colour."""
    photograph = cv2.resize(read_picture(PHOTOGRAPH), (1400, 1400), interpolation=cv2.INTER_CUBIC)
    rng = np.random.default_rng(0)
    for number in range(count):
        turn = cv2.getRotationMatrix2D((700, 700), float(rng.uniform(-20, 20)), 1)
        turn[:, 2] -= rng.uniform((150, 250), (320, 500))
        seen = cv2.warpAffine(photograph, turn, (928, 640), borderMode=cv2.BORDER_REFLECT)
        write_png(folder / f"{number:04d}.png", (seen + rng.normal(0, 3, seen.shape)).clip(0, 255).astype(np.uint8))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--weights", default="magicpoint")
    parser.add_argument("--block", type=int, default=50)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--make", action="store_true")
    arguments = parser.parse_args()

    if arguments.make:
        make_photographs(arguments.folder, arguments.images)
    keep_freed_memory()
    extractor = Extractor.load(arguments.weights)
    found = list(find_images([arguments.folder]).items())
    chosen = found[:: max(1, len(found) // arguments.images)][: arguments.images]
    run_network(extractor, dict(chosen[:5]))
    seconds, busy = {"network": 0.0, "whole": 0.0}, {"network": 0.0, "whole": 0.0}
    blocks: dict[str, list[float]] = {"network": [], "whole": []}
    for number, begin in enumerate(range(0, len(chosen), arguments.block)):
        block = dict(chosen[begin : begin + arguments.block])
        turns = [("network", run_network), ("whole", run_whole)]
        for name, run in turns if number % 2 == 0 else turns[::-1]:
            start = run(extractor, block)
            end = now()
            seconds[name] += end[0] - start[0]
            blocks[name].append(len(block) / (end[0] - start[0]))
            busy[name] += end[1] - start[1]
    rates = {name: len(chosen) / spent for name, spent in seconds.items()}
    print(f"{len(chosen)} images, weights {arguments.weights}, {torch.get_num_threads()} threads, {LOADERS} loaders")
    for name, rate in rates.items():
        print(
            f"{name:8s} {rate:8.2f} images/s  {rate / rates['network']:6.1%} of the network's own rate  "
            f"{1000 * busy[name] / len(chosen):7.1f} ms of processor time an image"
        )
    if arguments.json:
        figures = {
            name: Figure(rate, min(blocks[name]), max(blocks[name]), "images/s", "higher")
            for name, rate in rates.items()
        }
        share = rates["whole"] / rates["network"]
        save(arguments.json, {**figures, "share": Figure(share, share, share, "", "higher")})


if __name__ == "__main__":
    main()
