"""Intrinsics of cameras, from a file or from an option."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core.errors import InputError
from ..core.files import AnyPath, check_regular

Floats = NDArray[np.float64]


def intrinsic_matrix(focal_x: float, focal_y: float, centre_x: float, centre_y: float) -> Floats:
    """The matrix (3, 3) of a camera, in pixels whose centres are at whole numbers.

    Raises:
        InputError: A number is not finite, or a focal length not positive.
    """
    numbers = (focal_x, focal_y, centre_x, centre_y)
    if not np.isfinite(numbers).all() or min(focal_x, focal_y) <= 0:
        raise InputError(f"intrinsics are two positive focal lengths and a principal point, got {numbers}")
    return np.array([[focal_x, 0.0, centre_x], [0.0, focal_y, centre_y], [0.0, 0.0, 1.0]])


def read_intrinsics(source: AnyPath, keys: Iterable[str]) -> dict[str, Floats]:
    """The intrinsics of images.

    Args:
        source: `FX,FY,CX,CY` in pixels, of the camera of all images; or a text file, UTF-8, with a line
            `NAME FX FY CX CY` for each image. Pixels have their centres at whole numbers: from COLMAP's principal
            points 0.5 is to be taken away.
        keys: The names of the images.

    Returns:
        By key, each a matrix (3, 3).

    Raises:
        FileNotFoundError: It is neither numbers nor a file.
        InputError: It is no ordinary file, a line is not of this form, or an image has none; it is named.
    """
    numbers = _numbers(str(source).split(","))
    if numbers is not None:
        return dict.fromkeys(keys, intrinsic_matrix(*numbers))
    path, found = Path(source), {}
    check_regular(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no text in UTF-8: {error}") from error
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        words = line.rsplit(maxsplit=4)
        numbers = _numbers(words[1:])
        if numbers is None:
            raise InputError(f"{path}, line {number}: a name and four numbers are needed, got {line!r}")
        try:
            found[words[0]] = intrinsic_matrix(*numbers)
        except InputError as error:
            raise InputError(f"{path}, line {number}: {error}") from error
    keys = list(keys)
    missing = [key for key in keys if key not in found]
    if missing:
        raise InputError(f"{path} has no line for {missing[0]}" + f" and {len(missing) - 1} more" * (len(missing) > 1))
    return {key: found[key] for key in keys}


def _numbers(words: list[str]) -> tuple[float, float, float, float] | None:
    try:
        focal_x, focal_y, centre_x, centre_y = map(float, words)
    except ValueError:
        return None
    return focal_x, focal_y, centre_x, centre_y
