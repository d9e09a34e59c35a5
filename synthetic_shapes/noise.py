"""Gaussian noise that costs little."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

_BANK_SIZE = 1 << 20

NOISE_MEAN, NOISE_DEVIATION = 128.0, 32.0


def noise_bytes(height: int, width: int, rng: Generator) -> NDArray[np.uint8]:
    """Normal noise of ``NOISE_MEAN`` and ``NOISE_DEVIATION``, clipped at 4 deviations, as read-only (height, width).

    A stretch of a fixed bank from a random place on, which is many times faster than fresh draws; images of more than
    half the bank's size fall back on these.
    """
    count = height * width
    if count > _BANK_SIZE // 2:
        return _draw(count, rng).reshape(height, width)
    start = int(rng.random() * (_BANK_SIZE - count))
    return _bank()[start : start + count].reshape(height, width)


@cache
def _bank() -> NDArray[np.uint8]:
    bank = _draw(_BANK_SIZE, np.random.default_rng(0))
    bank.flags.writeable = False
    return bank


def _draw(count: int, rng: Generator) -> NDArray[np.uint8]:
    noise = np.rint(NOISE_MEAN + NOISE_DEVIATION * rng.standard_normal(count, np.float32))
    return np.asarray(noise.clip(0, 255), np.uint8)
