"""Image pairs with known homographies, in the folder layout of HPatches."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..core.errors import InputError
from ..core.files import AnyPath, check_regular
from ..io.finding import IMAGE_SUFFIXES

Change = Literal["illumination", "viewpoint"]

_CHANGES: dict[str, Change] = {"i_": "illumination", "v_": "viewpoint"}
_REFERENCE = 1


@dataclass(frozen=True)
class View:
    """One of the images of a sequence besides the reference.

    Args:
        number: k of `H_1_k`.
        image: The image file.
        homography: The file `H_1_k`.
    """

    number: int
    image: Path
    homography: Path


@dataclass(frozen=True)
class PairSequence:
    """Images of one scene: each of the views makes a pair with the reference.

    Args:
        name: Of the folder.
        change: What differs between its images.
        reference: The image file 1.
        views: In the order of their numbers, at least one.
    """

    name: str
    change: Change
    reference: Path
    views: tuple[View, ...]


def find_sequences(folder: AnyPath) -> tuple[PairSequence, ...]:
    """List the sequences of a dataset; no image and no homography is read.

    A sequence is a folder `v_*` (viewpoint) or `i_*` (illumination) with a reference image 1.*, images 2.*, 3.*, ...
    with any of `io.finding.IMAGE_SUFFIXES`, some of which may be missing, and for each image k a text file `H_1_k`, see
    `read_homography`. Other files and folders are passed over.

    Returns:
        In the order of their names.

    Raises:
        FileNotFoundError: The folder, a reference or the homography of an image is missing; it is named.
        InputError: There is no sequence, one has no pair, an image number is there twice, or a homography has no image.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder}")
    folders = sorted(path for path in folder.iterdir() if path.name[:2] in _CHANGES and path.is_dir())
    if not folders:
        raise InputError(f"{folder} has no sequences: folders named v_* or i_* with 1.png, 2.png, H_1_2 and so on")
    return tuple(_find_sequence(path) for path in folders)


def _find_sequence(folder: Path) -> PairSequence:
    images: dict[int, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in IMAGE_SUFFIXES and re.fullmatch("[1-9][0-9]*", path.stem):
            if int(path.stem) in images:
                raise InputError(f"{images[int(path.stem)]} and {path} have the same number")
            images[int(path.stem)] = path
    reference = images.pop(_REFERENCE, None)
    if reference is None:
        raise FileNotFoundError(f"no image {folder / str(_REFERENCE)}.png, .ppm or .jpg")
    views = tuple(View(number, images[number], folder / f"H_1_{number}") for number in sorted(images))
    for view in views:
        if not view.homography.is_file():
            raise FileNotFoundError(f"no homography {view.homography} for {view.image}")
    used = {view.homography for view in views}
    unused = [path for path in sorted(folder.glob("H_1_*")) if path not in used]
    if unused:
        raise InputError(f"{unused[0]} has no image {folder / unused[0].name.removeprefix('H_1_')}.png, .ppm or .jpg")
    if not views:
        raise InputError(f"{folder} has no pair, only {reference.name}")
    return PairSequence(folder.name, _CHANGES[folder.name[:2]], reference, views)


def read_homography(path: AnyPath) -> NDArray[np.float64]:
    """Read a homography of HPatches: a text file of three lines of three numbers.

    Returns:
        float64 (3, 3), maps (x, y, 1) of image 1 to image k, pixel centres at whole numbers; scaled so that its last
        entry is 1, which makes the third coordinate positive on the side of the top-left pixel.

    Raises:
        OSError: It cannot be read.
        InputError: It holds no such matrix, or one that is not finite, cannot be inverted or puts the top-left pixel at
            infinity; the file is named.
    """
    check_regular(path)
    try:
        rows = [[float(word) for word in line.split()] for line in Path(path).read_text(encoding="utf-8").splitlines()]
        H = np.array([row for row in rows if row], np.float64)
    except ValueError as error:
        raise InputError(f"{path} is no 3x3 matrix of numbers: {error}") from error
    if H.shape != (3, 3):
        raise InputError(f"{path} must hold a 3x3 matrix, got shape {H.shape}")
    if not np.isfinite(H).all():
        raise InputError(f"{path} must be finite, got {H.tolist()}")
    if np.linalg.matrix_rank(H) < 3:
        raise InputError(f"{path} holds a matrix that cannot be inverted: {H.tolist()}")
    if H[2, 2] == 0:
        raise InputError(f"{path} puts the top-left pixel at infinity: {H.tolist()}")
    scaled: NDArray[np.float64] = H / H[2, 2]
    return scaled
