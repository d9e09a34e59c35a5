"""Images per second of rendering and photometric augmentation on one core, and where the time goes.

    python benchmarks/render_speed.py [--count 450] [--repeats 5] [--size 120 160] [--json FILE]

Processor time is counted, and of several passes the fastest, since other programs on the machine slow all of them.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from magicpoint.data.photometric import PhotometricSettings, augment_photometric
from synthetic_shapes import PRIMITIVES, STANDARD_SHAPES, ShapeSettings, render_sample
from synthetic_shapes.background import add_grain, draw_background
from synthetic_shapes.canvas import Canvas
from synthetic_shapes.sample import sample_generator
from synthetic_shapes.visibility import visible_corners

CHANGES = ("shade", "contrast", "brightness", "motion blur", "gaussian blur", "speckle noise", "additive noise", "JPEG")


def fastest(work: Callable[[], object], repeats: int) -> float:
    """Processor seconds of the fastest of several calls."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def microseconds(work: Callable[[int], object], count: int, repeats: int) -> float:
    """Processor microseconds of `work` per sample."""
    return fastest(lambda: [work(index) for index in range(count)], repeats) / count * 1e6


def measure_rendering_stages(size_hw: tuple[int, int], count: int, repeats: int) -> dict[str, float]:
    """Microseconds per image of the stages of rendering, which are those of `render_shape`, one after the other."""
    primitives, samples = [PRIMITIVES[name] for name in STANDARD_SHAPES], range(count)
    generators = [sample_generator(0, "benchmark", index) for index in samples]
    backgrounds = [draw_background(*size_hw, generator) for generator in generators]
    canvases = [Canvas(background) for background in backgrounds]
    corners = [primitives[k % len(primitives)](canvases[k], generators[k]) for k in samples]
    images = [canvas.image() for canvas in canvases]
    stages: dict[str, Callable[[int], object]] = {
        "generator": lambda k: sample_generator(0, "benchmark", k),
        "background": lambda k: draw_background(*size_hw, generators[k]),
        "canvas": lambda k: Canvas(backgrounds[k]).image(),
        "drawing": lambda k: primitives[k % len(primitives)](canvases[k], generators[k]),
        "visibility": lambda k: visible_corners(images[k], corners[k]),
        "grain (in every second image)": lambda k: add_grain(images[k], generators[k]) if k % 2 else None,
    }
    return {name: microseconds(stage, count, repeats) for name, stage in stages.items()}


class _OneChange:
    """A generator whose first draws choose one of the eight changes, at a strength of one half."""

    def __init__(self, change: int, seed: int) -> None:
        self._generator = np.random.default_rng(seed)
        self._first: np.ndarray | None = np.full(16, 0.5)
        self._first[:8] = np.where(np.arange(8) == change, 0.0, 1.0)

    def random(self, *arguments: object) -> object:
        first, self._first = self._first, None
        return self._generator.random(*arguments) if first is None else first


def measure_changes(images: Sequence[np.ndarray], repeats: int) -> dict[str, float]:
    """Microseconds of each photometric change, where it is applied, beyond an image that stays as it is."""
    settings, count = PhotometricSettings(), len(images)

    def change(number: int) -> float:
        work = lambda k: augment_photometric(images[k], settings, _OneChange(number, k))  # type: ignore[arg-type]  # noqa: E731
        return microseconds(work, count, repeats)

    unchanged = change(len(CHANGES))
    return {"unchanged": unchanged} | {name: change(number) - unchanged for number, name in enumerate(CHANGES)}


def print_table(title: str, rows: dict[str, float], unit: str = "us") -> None:
    print(f"\n{title}")
    for name, value in rows.items():
        print(f"  {name:32}{value:9.1f} {unit}")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=450, help="images of each pass")
    parser.add_argument("--repeats", type=int, default=5, help="passes, of which the fastest counts")
    parser.add_argument("--size", type=int, nargs=2, default=(120, 160), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    options = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    count, repeats, size_hw = options.count, options.repeats, tuple(options.size)

    settings, photometric = ShapeSettings(size_hw=size_hw), PhotometricSettings()
    images = [render_sample(0, index, settings)[0] for index in range(count)]
    rendering = microseconds(lambda k: render_sample(0, k, settings), count, repeats)
    changing = microseconds(
        lambda k: augment_photometric(images[k], photometric, sample_generator(0, "photometric", k)), count, repeats
    )
    both = rendering + changing
    speed = {"rendering": 1e6 / rendering, "photometric": 1e6 / changing, "both": 1e6 / both}
    stages = measure_rendering_stages(size_hw, count, repeats)
    changes = measure_changes(images, repeats)
    shapes = {}
    for name in STANDARD_SHAPES:
        one = ShapeSettings(size_hw=size_hw, shapes=(name,))
        shapes[name] = microseconds(lambda k, one=one: render_sample(0, k, one), max(1, count // 5), repeats)  # type: ignore[misc]

    print(f"{size_hw[0]}x{size_hw[1]}, NumPy {np.__version__}, OpenCV {cv2.__version__}, one core")
    print_table("Images per second", speed, "/s")
    print_table("Stages of rendering, per image", stages)
    print_table("Photometric changes, where applied", changes)
    print_table("Rendering, per image of each shape", shapes)
    if options.json:
        figures = {
            "size_hw": size_hw,
            "images_per_second": speed,
            "stages": stages,
            "changes": changes,
            "shapes": shapes,
        }
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
