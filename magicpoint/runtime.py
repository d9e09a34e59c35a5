"""What the machine offers, and how a run is asked to stop."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Literal

import torch
from torch.nn import functional as F

Precision = Literal["auto", "float32", "bfloat16"]


def default_device() -> torch.device:
    """CUDA where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def resolve_precision(precision: Precision, device: torch.device) -> Literal["float32", "bfloat16"]:
    """The number format that ``auto`` stands for: bfloat16 where a convolution takes at most 0.8 of float32's time.

    A processor without bfloat16 instructions emulates them, several times slower than float32.
    """
    if precision != "auto":
        return precision
    return "bfloat16" if _seconds(torch.bfloat16, device) < 0.8 * _seconds(torch.float32, device) else "float32"


def _seconds(dtype: torch.dtype, device: torch.device) -> float:
    """The best of five times of one 3x3 convolution of 64 to 64 channels over 8 images of 60x80."""
    image = torch.ones(8, 64, 60, 80, device=device, dtype=dtype).contiguous(memory_format=torch.channels_last)
    kernel = torch.ones(64, 64, 3, 3, device=device, dtype=dtype).contiguous(memory_format=torch.channels_last)
    synchronize: Callable[[], object] = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    times = []
    for _ in range(6):
        synchronize()
        start = time.perf_counter()
        with torch.inference_mode():
            F.conv2d(image, kernel, padding=1)
        synchronize()
        times.append(time.perf_counter() - start)
    return min(times[1:])


@dataclass
class StopRequest:
    """Whether somebody asked the run to stop."""

    requested: bool = False


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Turns the first Ctrl-C, and SIGTERM, into a request that the loop reads between two steps.

    So a step is never cut in half. A second Ctrl-C interrupts at once. Outside the main thread, where signals cannot be
    handled, nothing is changed.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if request.requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        request.requested = True

    previous = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
