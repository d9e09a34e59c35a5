"""Images a second of `magicpoint extract` over a folder, against the network's own rate on the same images in memory.

    python benchmarks/folder_speed.py FOLDER [--images 300] [--weights magicpoint] [--block 50] [--json FILE]

The two take turns on blocks of images, so that a change of the machine's speed meets both. The network's own rate
counts from grey values in memory to keypoints; the whole also reads, decodes and hashes files and writes the HDF5 file.
Processor time, unlike the clock, does not count what other processes take of a busy machine.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import torch

from magicpoint.core.machine import keep_freed_memory
from magicpoint.inference.extractor import Extractor
from magicpoint.io.finding import find_images
from magicpoint.io.images import read_image
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
        process_images(images, unfinished, lambda key, image: extractor.extract(image.grey), progress=False)
        return start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--weights", default="magicpoint")
    parser.add_argument("--block", type=int, default=50)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    keep_freed_memory()
    extractor = Extractor.load(arguments.weights)
    found = list(find_images([arguments.folder]).items())
    chosen = found[:: max(1, len(found) // arguments.images)][: arguments.images]
    run_network(extractor, dict(chosen[:5]))
    seconds, busy = {"network": 0.0, "whole": 0.0}, {"network": 0.0, "whole": 0.0}
    for number, begin in enumerate(range(0, len(chosen), arguments.block)):
        block = dict(chosen[begin : begin + arguments.block])
        turns = [("network", run_network), ("whole", run_whole)]
        for name, run in turns if number % 2 == 0 else turns[::-1]:
            start = run(extractor, block)
            end = now()
            seconds[name] += end[0] - start[0]
            busy[name] += end[1] - start[1]
    rates = {name: len(chosen) / spent for name, spent in seconds.items()}
    print(f"{len(chosen)} images, weights {arguments.weights}, {torch.get_num_threads()} threads, {LOADERS} loaders")
    for name, rate in rates.items():
        print(
            f"{name:8s} {rate:8.2f} images/s  {rate / rates['network']:6.1%} of the network's own rate  "
            f"{1000 * busy[name] / len(chosen):7.1f} ms of processor time an image"
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(rates, indent=1))


if __name__ == "__main__":
    main()
