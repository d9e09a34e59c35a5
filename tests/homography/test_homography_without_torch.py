"""NumPy users need no torch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import homography

PROGRAM = """
import sys
sys.modules["torch"] = None  # Any "import torch" now raises ImportError.
import numpy as np
import homography

generator = np.random.default_rng(0)
H_0to1 = homography.sample_homography((40, 30), generator)
view1 = homography.warp_image(np.full((30, 40), 8, np.uint8), H_0to1)
mask = homography.valid_mask((40, 30), H_0to1, erosion=1)
centre = homography.warp_points(np.array([[19.5, 14.5]]), np.eye(3))
assert (view1[mask] == 8).all() and mask.any() and (centre == [[19.5, 14.5]]).all()
try:
    homography.warp_points([[1.0, 2.0]], np.eye(3))
except TypeError:
    print("works")
"""


def test_numpy_arrays_need_no_torch() -> None:
    root = Path(homography.__file__).resolve().parents[1]
    paths = os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])])
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "works"
