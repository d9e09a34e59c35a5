"""Which stored values of an image are black and white."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Limits = tuple[float, float]
"""The values that become 0 (black) and 1 (white)."""

TAILS = 0.001
"""The share of the pixels at either end that is not asked for its range: dead and hot pixels, glints."""

UPPER, SHARE = 1 / 2, 1 / 8
"""An image is read as it is where its brightest values reach into the upper half, and it uses an eighth of all values:
12 bits in 16 do not, nor do 14, nor does a thermal image whose scene has 500 of 65536 values; a hazy one does."""

_MOST_SAMPLES = 2**20


def full_limits(image: NDArray[Any]) -> Limits:
    """Of the number format: 0 and 255 of 8 bits, 0 and 65535 of 16, 0 and 1 of floating numbers and truth values."""
    return (0.0, float(np.iinfo(image.dtype).max)) if image.dtype.kind in "iu" else (0.0, 1.0)


def used_limits(image: NDArray[Any], full: Limits) -> Limits:
    """The full limits where the image uses enough of them or is flat, else what it uses without its `TAILS`."""
    step = math.ceil(math.sqrt(image.shape[0] * image.shape[1] / _MOST_SAMPLES))
    sample = np.sort(image[::step, ::step], axis=None)
    cut = int(TAILS * len(sample))
    low, high = float(sample[cut]), float(sample[-1 - cut])
    (black, white), inside = full, full[0] <= low and high <= full[1]
    is_enough = high - black >= UPPER * (white - black) and high - low >= SHARE * (white - black)
    if inside and (high == low or is_enough):
        return full
    return low, high if high > low else low + 1.0
