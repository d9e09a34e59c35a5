"""Frames a second of `magicpoint track` from file to file at 480x640, with the tracks drawn and as a table alone.

    python benchmarks/video_speed.py --json FILE [--frames 120] [--rounds 3] [--weights superpoint-small]

The film is a photograph that moves and turns, with noise. Decoding, the network, linking, drawing and encoding count.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import cv2
import numpy as np
from extract_variants import PHOTOGRAPH
from figures import of, save

from magicpoint import DecodeSettings, Extractor
from magicpoint.core.errors import MachineError
from magicpoint.io.images import read_picture
from magicpoint.jobs.track import track_video


def make_film(path: Path, frames: int) -> None:
    """A film of 480x640 at 30 frames a second."""
    photograph = cv2.resize(read_picture(PHOTOGRAPH), (1100, 1100), interpolation=cv2.INTER_CUBIC)
    rng = np.random.default_rng(0)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 30, (640, 480))
    for number in range(frames):
        turn = cv2.getRotationMatrix2D((550, 550), 0.3 * number, 1)
        turn[:, 2] -= (230 + 80 * np.cos(number / 20), 310 + 80 * np.sin(number / 15))
        seen = cv2.warpAffine(photograph, turn, (640, 480), borderMode=cv2.BORDER_REFLECT)
        noisy = seen + rng.normal(0, 3, seen.shape)
        writer.write(noisy.clip(0, 255).astype(np.uint8))
    writer.release()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--frames", type=int, default=120)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--weights", default="superpoint-small")
    arguments = parser.parse_args()
    rates: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        film, video, table = (Path(name, part) for part in ("film.mp4", "tracks.mp4", "tracks.csv"))
        make_film(film, arguments.frames)
        for precision in ("float32", "int8"):
            try:
                extractor = Extractor.load(
                    arguments.weights, DecodeSettings(max_keypoints=1000), "cpu", precision=precision
                )
            except MachineError as error:
                print(error)
                continue
            for _ in range(arguments.rounds):
                for what, outputs in {"video": (video, None), "table alone": (None, table)}.items():
                    result = track_video(film, outputs[0], extractor, progress=False, table=outputs[1])
                    rates.setdefault(f"{arguments.weights}, {precision}, {what}", []).append(result.frames_per_second)
    figures = {key: of(values, "frames/s", "higher") for key, values in rates.items()}
    print("| track, 480x640 | median | best |\n|---|---|---|")
    for key, figure in figures.items():
        print(f"| {key} | {figure.value:.1f} frames/s | {figure.high:.1f} frames/s |")
    save(arguments.json, figures)


if __name__ == "__main__":
    main()
