"""Gaussian noise that costs little: a random stretch of a fixed bank instead of fresh draws, an order faster."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

_BANK_SIZE = 1 << 20

NOISE_MEAN, NOISE_DEVIATION = 128.0, 32.0


def normal_noise(height: int, width: int, rng: Generator) -> NDArray[np.float32]:
    """Standard normal noise, read-only (height, width). More than half the bank's size is drawn afresh."""
    start = _start(height * width, rng)
    if start is None:
        return rng.standard_normal((height, width), np.float32)
    return _bank()[start : start + height * width].reshape(height, width)


def noise_bytes(height: int, width: int, rng: Generator) -> NDArray[np.uint8]:
    """The same in bytes: noise of `NOISE_MEAN` and `NOISE_DEVIATION`, clipped at 4 deviations."""
    start = _start(height * width, rng)
    if start is None:
        return _as_bytes(rng.standard_normal((height, width), np.float32))
    return _byte_bank()[start : start + height * width].reshape(height, width)


def _start(count: int, rng: Generator) -> int | None:
    """Where in the bank a stretch begins; None where it has no room for the stretch to be anywhere."""
    return int(rng.random() * (_BANK_SIZE - count)) if count <= _BANK_SIZE // 2 else None


@cache
def _bank() -> NDArray[np.float32]:
    bank = np.random.default_rng(0).standard_normal(_BANK_SIZE, np.float32)
    bank.flags.writeable = False
    return bank


@cache
def _byte_bank() -> NDArray[np.uint8]:
    bank = _as_bytes(_bank())
    bank.flags.writeable = False
    return bank


def _as_bytes(noise: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.asarray(np.rint(NOISE_MEAN + NOISE_DEVIATION * noise).clip(0, 255), np.uint8)
