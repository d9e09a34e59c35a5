"""Images seen, and minutes, until the validation's clean mAP (2 px) passes 0.90, 0.95 and 0.97.

    python benchmarks/time_to_quality.py RUN

reads the metrics of a run's folder. To make one with validations close together:

    magicpoint train RUN --config magicpoint --steps 400 --validate_every 40
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from magicpoint import TrainResult, read_training

LEVELS = (0.90, 0.95, 0.97)


@dataclass(frozen=True)
class Reached:
    """When a level was passed: after how many images, and minutes of training without validations."""

    images: int
    minutes: float


def time_to_quality(result: TrainResult, levels: Iterable[float] = LEVELS) -> dict[float, Reached]:
    """For each level that was reached, when that was."""
    reached: dict[float, Reached] = {}
    for validation in result.validations:
        seconds, images = 0.0, 0
        for trained in result.training:
            if trained.step <= validation.step:
                seconds += (trained.images - images) / trained.measures["images_per_second"]
                images = trained.images
        for level in levels:
            if validation.measures["ap_clean"] >= level and level not in reached:
                reached[level] = Reached(images, seconds / 60.0)
    return reached


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of a training run")
    reached = time_to_quality(read_training(parser.parse_args().run))
    print("clean mAP   images    minutes")
    for level in LEVELS:
        found = reached.get(level)
        print(f"{level:9.2f}   {'not reached' if found is None else f'{found.images:6d} {found.minutes:10.1f}'}")


if __name__ == "__main__":
    main()
