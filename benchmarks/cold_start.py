"""Seconds until something can be done: the import, an extractor, the first keypoints, the help of every verb.

    python benchmarks/cold_start.py --json FILE [--rounds 3]

Each is a process of its own; the import is less a Python that does nothing.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from figures import of, save

from magicpoint.cli.verbs import VERBS

READY = "from magicpoint import Extractor; extractor = Extractor.from_pretrained('superpoint', device='cpu')"
PROCESSES = {
    "Python alone": ["-c", "pass"],
    "import magicpoint": ["-c", "import magicpoint"],
    "import torch": ["-c", "import torch"],
    "an extractor": ["-c", READY],
    "its first keypoints": ["-c", f"{READY}; import numpy; extractor.extract(numpy.zeros((480, 640), numpy.uint8))"],
    **{f"{verb} --help": ["-m", "magicpoint", verb, "--help"] for verb in VERBS},
}


def seconds(words: list[str]) -> float:
    """Of a process of Python with these words."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    taken: dict[str, list[float]] = {name: [] for name in PROCESSES}
    for _ in range(arguments.rounds):
        for name, words in PROCESSES.items():
            taken[name].append(seconds(words))
    figures = {name: of(values, "s") for name, values in taken.items()}
    print("| a process that gives | median | least |\n|---|---|---|")
    for name, figure in figures.items():
        print(f"| {name} | {figure.value:.2f} s | {figure.low:.2f} s |")
    save(arguments.json, figures)


if __name__ == "__main__":
    main()
