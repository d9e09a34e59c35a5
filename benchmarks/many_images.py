"""Whether time and memory of `extract` grow with the number of images and no faster: many tiny ones.

    python benchmarks/many_images.py --count 20000 [--json FILE]

For a quarter, half and all of the images: seconds of the first run and of the same command with nothing changed, the
most memory and the most open files of the process. Linux, for what is counted of a process.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from figures import Figure, of, save


def measured(words: list[str]) -> tuple[float, float, int]:
    """Runs a command; seconds, most memory in MB and most open files."""
    began, memory, files = time.monotonic(), 0.0, 0
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    status = Path("/proc", str(process.pid))
    while process.poll() is None:
        try:
            lines = (status / "status").read_text().splitlines()
            files = max(files, len(list((status / "fd").iterdir())))
        except OSError:  # it is over
            break
        memory = max([memory, *(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))])
        time.sleep(0.2)
    if process.wait():
        raise SystemExit(f"exit status {process.returncode} of {' '.join(words)}")
    return time.monotonic() - began, memory, files


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--weights", default="superpoint-small")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    figures: dict[str, Figure] = {}
    rng = np.random.default_rng(0)
    print(f"{'images':>8} {'first':>9} {'again':>9} {'memory':>9} {'files':>6}")
    with tempfile.TemporaryDirectory() as name:
        made = 0
        for count in (arguments.count // 4, arguments.count // 2, arguments.count):
            for number in range(made, count):
                folder = Path(name, "images", f"{number // 1000:03d}")
                folder.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(folder / f"{number:06d}.png"), rng.integers(0, 256, (48, 64), np.uint8))
            made = count
            words = [sys.executable, "-m", "magicpoint", "extract", str(Path(name, "images")), "--quiet"]
            words += ["--out", str(Path(name, f"{count}.h5")), "--weights", arguments.weights]
            first, memory, files = measured(words)
            again, memory_again, files_again = measured(words)
            figures |= {f"{count} images": of([first], "s"), f"{count} images, again": of([again], "s")}
            most = max(memory, memory_again), max(files, files_again)
            print(f"{count:8d} {first:7.1f} s {again:7.1f} s {most[0]:6.0f} MB {most[1]:6d}", flush=True)
    if arguments.json:
        save(arguments.json, figures)


if __name__ == "__main__":
    main()
