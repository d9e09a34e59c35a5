"""Batches prepared ahead by other processes."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import cv2
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from .batches import Item


class _Steps(Sampler[int]):
    def __init__(self, start: int, stop: int) -> None:
        self._steps = range(start, stop)

    def __iter__(self) -> Iterator[int]:
        return iter(self._steps)

    def __len__(self) -> int:
        return len(self._steps)


def load_batches(batches: Dataset[Item], start: int, stop: int, workers: int, pin: bool) -> DataLoader[Item]:
    """The batches of steps `start` to `stop`, in order, prepared ahead by `workers` processes (0: this one)."""
    return DataLoader(
        batches,
        batch_size=None,
        sampler=_Steps(start, stop),
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        pin_memory=pin,
        worker_init_fn=_start_worker,
        multiprocessing_context="spawn" if workers else None,
    )


def _start_worker(_: int) -> None:
    """One thread each, since the network needs the cores; signals are for the training process, which stops them."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
