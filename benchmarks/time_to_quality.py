"""Images seen, and minutes, until the validation's clean mAP (2 px) passes 0.90, 0.95 and 0.97.

    python benchmarks/time_to_quality.py RUN

reads the metrics of a run's folder. To make one with validations close together:

    magicpoint train RUN --config magicpoint --steps 400 --validate_every 40
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

LEVELS = (0.90, 0.95, 0.97)


def time_to_quality(
    lines: Iterable[Mapping[str, Any]], levels: Iterable[float] = LEVELS
) -> dict[float, tuple[int, float]]:
    """For each level that was reached, the images seen and the minutes of training (without validations) by then."""
    reached: dict[float, tuple[int, float]] = {}
    seconds, images = 0.0, 0
    for line in lines:
        if line["kind"] == "train":
            seconds += (line["images"] - images) / line["images_per_second"]
            images = line["images"]
        else:
            for level in levels:
                if line["ap_clean"] >= level and level not in reached:
                    reached[level] = (line["images"], seconds / 60.0)
    return reached


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of a training run")
    run = parser.parse_args().run
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    reached = time_to_quality(lines)
    print("clean mAP   images    minutes")
    for level in LEVELS:
        images, minutes = reached.get(level, (None, None))
        print(f"{level:9.2f}   {'not reached' if images is None else f'{images:6d} {minutes:10.1f}'}")


if __name__ == "__main__":
    main()
