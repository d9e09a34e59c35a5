"""Writes a second, darker view of a photograph, whose homography is known, and prints the homography.

`python docs/pictures/second_view.py notebooks/images/cameraman.png runs/second_view.png`
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from homography import HomographySettings, sample_homography, warp_image
from magicpoint import read_image
from magicpoint.io.images import write_png

SETTINGS = HomographySettings(rotation=0.5, perspective=0.25, overflow=False)
SEED = 4
LIGHT = 0.6
"""By which the grey values of the second view are multiplied."""


def write_second_view(photograph: Path, out: Path) -> NDArray[np.float64]:
    """Writes the view and returns `H_0to1`, float64 (3, 3), from the photograph to the view."""
    grey = read_image(photograph)
    H_0to1 = sample_homography((grey.shape[1], grey.shape[0]), np.random.default_rng(SEED), SETTINGS)
    view = np.rint(LIGHT * 255 * warp_image(grey, H_0to1)).astype(np.uint8)
    write_png(out, np.repeat(view[..., None], 3, axis=2))
    return H_0to1 / H_0to1[2, 2]


if __name__ == "__main__":
    print(write_second_view(Path(sys.argv[1]), Path(sys.argv[2])))
