"""Masks of images: where no keypoint is wanted. Found beside an image, in a folder, or in its own transparency."""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ..core.errors import InputError
from ..core.files import AnyPath
from .finding import MASK_ENDING
from .grey import GreyImage
from .images import decode_values, open_image, read_content
from .reading import ImageReading

MARGIN = 8
"""Pixels beside what is masked in which no keypoint counts, either.

The edge of what is masked is often one of the picture, the black rim of a disc for instance, and a row of corners to
the network. On a photograph behind a disc such false keypoints lie up to 2 pixels inside the disc, and up to 8, a cell
of the network, they take the place of true ones; beyond, those of the whole photograph are found. To fill in what is
masked, with its mean or with the nearest values outside, smoothed or not, does no better, so the image stays as it is.
"""

_LOG = logging.getLogger(__name__)


def find_masks(images: Mapping[str, Path], folder: AnyPath | None = None) -> dict[str, Path]:
    """The masks of images, by the images' keys.

    The mask of sub/cat.jpg is sub/cat.jpg.png or sub/cat.png in the folder, else cat.jpg.mask.png or cat.mask.png
    there, else such a one beside the image.

    Args:
        images: Keys and paths, as from `io.finding.find_images`.
        folder: Of masks; None looks beside the images alone.

    Raises:
        FileNotFoundError: There is no such folder.
        InputError: The folder has no mask of any of the images.
    """
    if folder is not None and not Path(folder).is_dir():
        raise FileNotFoundError(f"no folder of masks {folder}")
    listed = {} if folder is None else _in_folder(images, Path(folder))
    if folder is not None and images:
        missing = [key for key in images if key not in listed]
        if len(missing) == len(images):
            raise InputError(f"no mask of {len(images)} images in {folder}; that of {missing[0]} is {missing[0]}.png")
        if missing:
            _LOG.warning(
                "%d of %d images have no mask in %s, such as %s", len(missing), len(images), folder, missing[0]
            )
    beside = {key: found for key, path in images.items() if (found := _first(path, *_names_beside(path))) is not None}
    return {**beside, **listed}


def _in_folder(images: Mapping[str, Path], folder: Path) -> dict[str, Path]:
    found = {}
    for key, image in images.items():
        place = folder / key
        mask = _first(image, place.with_name(f"{place.name}.png"), place.with_suffix(".png"), *_names_beside(place))
        if mask is not None:
            found[key] = mask
    return found


def _names_beside(image: Path) -> tuple[Path, Path]:
    return image.with_name(f"{image.name}{MASK_ENDING}"), image.with_name(f"{image.stem}{MASK_ENDING}")


def _first(image: Path, *candidates: Path) -> Path | None:
    # A link to nowhere is one, too: to read it is an error, not an image without a mask.
    return next((path for path in candidates if os.path.lexists(path) and path != image), None)


def decode_mask(
    data: bytes, path: Path, size_hw: tuple[int, int], reading: ImageReading | None = None
) -> NDArray[np.bool_]:
    """A mask, bool (H, W), from the content of its file: False where all its colours are 0.

    Raises:
        InputError: It is no image or not of the size of its image; the message names it.
    """
    values = decode_values(data, path, reading or ImageReading())
    if values.shape[:2] != size_hw:
        height, width = values.shape[:2]
        raise InputError(f"the mask {path} is {width}x{height}, its image {size_hw[1]}x{size_hw[0]}")
    return np.asarray(values.reshape(*size_hw, -1).any(axis=2))


def read_mask(path: AnyPath, size_hw: tuple[int, int], reading: ImageReading | None = None) -> NDArray[np.bool_]:
    """`decode_mask` of a file.

    Raises:
        OSError: It cannot be read.
        InputError: As from `decode_mask`.
    """
    return decode_mask(read_content(path, reading), Path(path), size_hw, reading)


def open_masked(path: AnyPath, reading: ImageReading | None = None) -> GreyImage:
    """An image file with the mask beside it, where there is one.

    Raises:
        OSError: One of the two cannot be read.
        InputError: The image is damaged, or as from `decode_mask`.
    """
    image = open_image(path, reading)
    beside = _first(Path(path), *_names_beside(Path(path)))
    if beside is None:
        return image
    height, width = image.grey.shape
    mask = read_mask(beside, (height, width), reading)
    return dataclasses.replace(image, mask=both_masks(image.mask, mask))


def both_masks(mask0: NDArray[np.bool_] | None, mask1: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
    """Where both are True; None stands for everywhere."""
    if mask0 is None or mask1 is None:
        return mask1 if mask0 is None else mask0
    return np.asarray(mask0 & mask1)


def well_inside(mask: NDArray[np.bool_], margin: int = MARGIN) -> NDArray[np.bool_]:
    """The pixels of a mask (H, W) that are more than so many pixels away, in a square, from any that is False."""
    if margin == 0 or mask.all():
        return mask
    square = np.ones((2 * margin + 1, 2 * margin + 1), np.uint8)
    return np.asarray(cv2.erode(mask.astype(np.uint8), square, borderType=cv2.BORDER_CONSTANT, borderValue=1), np.bool_)


def shrink_mask(mask: NDArray[np.bool_], size_hw: tuple[int, int]) -> NDArray[np.bool_]:
    """A mask (H, W) in another size: True where all that a pixel covers is."""
    if mask.shape == size_hw:
        return mask
    shares = cv2.resize(mask.astype(np.float32), size_hw[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(shares > 1 - 1e-3)
