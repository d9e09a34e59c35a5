"""Images and arrays from files that anybody may have written: what they claim is checked before memory is taken."""

from __future__ import annotations

import io
import math
import os
import stat
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .errors import DatasetError
from .png import png_is_intact

LARGEST_FILE = 2**28
"""Bytes of a file that is read at once: an image, an array, a description."""

LARGEST_IMAGE = 2**26
"""Pixels."""


def read_whole(path: Path) -> bytes:
    """The content of a file.

    Raises:
        FileNotFoundError: There is none.
        DatasetError: It is something else than a file, such as a pipe, or larger than `LARGEST_FILE`.
    """
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise DatasetError(f"{path} is no regular file")
    if status.st_size > LARGEST_FILE:
        raise DatasetError(f"{path} has {status.st_size} bytes, more than {LARGEST_FILE}")
    return path.read_bytes()


def read_png(path: Path, flags: int = cv2.IMREAD_UNCHANGED) -> NDArray[Any]:
    """Decodes a PNG file.

    Raises:
        FileNotFoundError: There is none.
        DatasetError: A byte of it is missing or wrong, or it is larger than `LARGEST_IMAGE`.
    """
    data = read_whole(path)
    # Decoders differ in what they make of a damaged file: some return the part that they could read.
    if not png_is_intact(data):
        raise DatasetError(f"{path} is truncated, damaged or no PNG file")
    width, height = (int.from_bytes(data[start : start + 4], "big") for start in (16, 20))  # the first chunk, IHDR
    if width * height > LARGEST_IMAGE:
        raise DatasetError(f"{path} has {width}x{height} pixels, more than {LARGEST_IMAGE}")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise DatasetError(f"{path} cannot be decoded: {error.err}") from error
    if image is None:
        raise DatasetError(f"{path} cannot be decoded")
    return np.asarray(image)


def read_npy(path: Path) -> NDArray[Any]:
    """Reads one array of numbers, without pickles.

    Raises:
        FileNotFoundError: There is none.
        DatasetError: The file is damaged, holds no array of numbers, or not as many of them as it says.
    """
    data = read_whole(path)
    try:
        return _parse_npy(data)
    except Exception as error:  # of any kind: NumPy reads the header with Python's own parser
        reason = str(error).split("\n")[0]
        raise DatasetError(f"{path} is truncated, damaged or no NumPy array: {reason:.200}") from error


def _parse_npy(data: bytes) -> NDArray[Any]:
    file = io.BytesIO(data)
    version = np.lib.format.read_magic(file)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise DatasetError(f"format version {version} is neither 1.0 nor 2.0")
    shape, fortran_order, dtype = readers[version](file)
    if dtype.kind not in "fiub":
        raise DatasetError(f"it holds {dtype}, no numbers")
    if any(not isinstance(side, int) or side < 0 for side in shape):
        raise DatasetError(f"it has the shape {shape}")
    claimed, there = math.prod(shape) * dtype.itemsize, len(data) - file.tell()
    if claimed != there:
        raise DatasetError(f"its shape {shape} takes {claimed} bytes, and it has {there}")
    flat = np.frombuffer(data, dtype, offset=file.tell())
    return flat.reshape(shape, order="F" if fortran_order else "C").copy()
