"""Whether HDF5 gets through a file: tried in a process of its own, which may hang or crash.

HDF5 checks little of what a file says of its structure, and one changed byte can end the process that reads it or keep
it for ever. Files with an index are read without HDF5; those that have none are tried here first.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import h5py

from ..core.errors import InputError
from .record_plain import READ_ERRORS, read_arrays, read_attributes, read_digests, read_image_size

SECONDS, BYTES_PER_SECOND = 20.0, 10e6
"""What a file is given; disks and HDF5 are ten times faster."""


def check_readable(path: Path, names: Iterable[str]) -> None:
    """Refuses a file that HDF5 hangs or crashes on.

    It takes half a second and as long as all records take to be read. What is wrong with a file that HDF5 gets through
    is for its reader to find.

    Args:
        path: The file.
        names: Of all arrays that a record may have.

    Raises:
        InputError: Reading does not end, or ends the process.
    """
    if not sys.executable or not h5py.is_hdf5(path):  # inside another program; by its first bytes no such file
        return
    seconds = SECONDS + path.stat().st_size / BYTES_PER_SECOND
    words = [sys.executable, "-m", __name__, os.fspath(path), *names]
    nothing = subprocess.DEVNULL
    try:
        status = subprocess.run(words, stdin=nothing, stdout=nothing, stderr=nothing, timeout=seconds).returncode
    except subprocess.TimeoutExpired:
        raise InputError(f"HDF5 does not get through it in {seconds:.0f} s") from None
    if status not in (0, 1):  # 1: Python, not HDF5
        raise InputError(f"HDF5 crashes on it (status {status})")


def _read_all(path: str, names: list[str]) -> None:
    with contextlib.suppress(*READ_ERRORS, MemoryError), h5py.File(path, "r") as file:
        read_attributes(file)
        for key in read_digests(file):
            with contextlib.suppress(*READ_ERRORS, MemoryError):
                read_image_size(file[key])
                read_arrays(file[key], names)


if __name__ == "__main__":
    _read_all(sys.argv[1], sys.argv[2:])
