"""Writes a film in which a poster turns, tilts and gets smaller, and prints its corners in the first and last frame.

`python docs/pictures/poster_film.py notebooks/images/cameraman.png runs/film.mp4`
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from homography import warp_points
from magicpoint import read_image
from magicpoint.io.video_out import open_sink
from magicpoint.planar.located import outer_corners
from synthetic_shapes.background import draw_background

SIZE, FRAMES, RATE = (320, 240), 8, 4
FIRST = np.array([[90, 40], [220, 50], [215, 180], [80, 170]], np.float32)
LAST = np.array([[190, 90], [230, 110], [215, 160], [170, 135]], np.float32)


def write_film(poster: Path, out: Path, frames: int = FRAMES) -> NDArray[np.float64]:
    """Writes the film and returns the poster's corners in each frame, float64 (frames, 4, 2), (x, y) in pixels."""
    picture = read_image(poster)
    wall = 0.5 * draw_background(SIZE[1], SIZE[0], np.random.default_rng(0)) + 40
    outline, seen = outer_corners((picture.shape[1], picture.shape[0])).astype(np.float32), []
    out.parent.mkdir(parents=True, exist_ok=True)
    with open_sink(out, RATE) as sink:
        for number in range(frames):
            corners = FIRST + (LAST - FIRST) * number / max(1, frames - 1)
            H = np.asarray(cv2.getPerspectiveTransform(outline, corners.astype(np.float32)), np.float64)
            fine = np.diag([4.0, 4.0, 1.0]) @ H  # each pixel is the mean of 16 samples
            size = (4 * SIZE[0], 4 * SIZE[1])
            shown, cover = (
                cv2.resize(cv2.warpPerspective(each, fine, size), SIZE, interpolation=cv2.INTER_AREA)
                for each in (255 * picture, np.ones_like(picture))
            )
            grey = np.rint(shown + (1 - cover) * wall).clip(0, 255).astype(np.uint8)
            sink.write(np.repeat(grey[..., None], 3, axis=2))
            # A sample k of four lies (k - 1.5) / 4 pixels from the middle of its pixel.
            seen.append(np.asarray(warp_points(outline.astype(np.float64), H), np.float64) - 1.5 / 4)
    return np.array(seen)


if __name__ == "__main__":
    corners = write_film(Path(sys.argv[1]), Path(sys.argv[2]))
    print(f"first frame {corners[0].round(1).tolist()}\nlast frame {corners[-1].round(1).tolist()}")
