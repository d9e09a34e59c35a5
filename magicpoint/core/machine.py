"""What the machine offers: devices, number formats, its allocator, the versions installed on it."""

from __future__ import annotations

import ctypes
import os
import platform
import time
from collections.abc import Callable
from importlib import metadata
from typing import Literal

import torch
from torch.nn import functional as F

from .errors import InputError
from .precision import Precision


def versions() -> dict[str, str]:
    """The versions on which a result depends."""
    found = {"python": platform.python_version()}
    for name in ("magicpoint", "torch", "numpy", "opencv-python-headless", "opencv-python"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def default_device() -> torch.device:
    """CUDA where there is one, else the CPU; of several processes on a machine each takes a GPU of its own."""
    return _own_gpu(torch.device("cuda")) if torch.cuda.is_available() else torch.device("cpu")


def _own_gpu(device: torch.device) -> torch.device:
    """The GPU of the number that `torchrun` gave this process on its machine, where no other was asked for."""
    local = os.environ.get("LOCAL_RANK", "")
    if device != torch.device("cuda") or not local.isdecimal():
        return device
    return torch.device("cuda", int(local) % max(1, torch.cuda.device_count()))


_KINDS = ("cpu", "cuda", "mps")  # of torch's others none computes here; meta has no numbers


def find_device(name: torch.device | str) -> torch.device:
    """The device of that name, which is there.

    Raises:
        InputError: It is no name of a device, or this machine has none of that name.
    """
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in _KINDS:
        raise InputError(f"device must be auto, cpu, cuda, cuda:N or mps, got {str(name)!r}")
    count = torch.cuda.device_count() if device.type == "cuda" else 1
    # Torch keeps a number of 8 bits: of cuda:999 that is negative.
    missing = not 0 <= (device.index or 0) < count or (device.type == "mps" and not torch.backends.mps.is_available())
    if missing:
        raise InputError(f"device {device} is not there: torch sees {torch.cuda.device_count()} GPUs on this machine")
    return _own_gpu(device)


def resolve_precision(precision: Precision, device: torch.device) -> Literal["float32", "bfloat16", "float16"]:
    """The number format that is asked for, or that `auto` stands for, see `faster_precision`.

    Raises:
        InputError: float16 is asked for elsewhere than on CUDA.
    """
    if precision == "float16" and device.type != "cuda":
        raise InputError(f"precision float16 is for CUDA, not for {device.type}: take bfloat16, float32 or auto")
    return faster_precision(device) if precision == "auto" else precision


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """The block in which a network's layers compute in a number format."""
    dtype = torch.float16 if precision == "float16" else torch.bfloat16
    return torch.autocast(device.type, dtype, enabled=precision in ("float16", "bfloat16"))


def faster_precision(device: torch.device) -> Literal["float32", "bfloat16"]:
    """bfloat16 where a convolution takes at most 0.8 of float32's time.

    A processor without bfloat16 instructions emulates them, several times slower than float32.
    """
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


_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4


def keep_freed_memory() -> bool:
    """Makes glibc hold on to freed memory for reuse; returns whether this platform can.

    By default glibc returns every large block to the system when it is freed and faults its pages in anew at the next
    allocation: at each layer of each step. Holding on to it more than doubles the rate of training on a CPU and costs
    resident memory up to the peak. It concerns the whole process, so only the command line calls this by itself.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL("libc.so.6")
    return bool(libc.mallopt(_M_MMAP_MAX, 0)) and bool(libc.mallopt(_M_TRIM_THRESHOLD, -1))
