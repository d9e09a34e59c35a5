"""A stage that turns each image of a list into a record: skips what is no image, and goes on after a stop."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from .feature_files import UnfinishedRecords, check_key
from .images import read_image

Record = TypeVar("Record")
Grey = NDArray[np.float32]


def process_images(
    images: Mapping[str, Path],
    unfinished: UnfinishedRecords[Record],
    process: Callable[[str, Grey], Record],
    draw: Callable[[str, Grey, Record], object] | None = None,
    progress: bool = True,
) -> Path:
    """Make the records of images and join them to one file.

    An image that cannot be read is reported on the standard error, listed in the file and left out.

    Args:
        images: Keys and paths, as from `images.find_images`.
        unfinished: Where the records are kept; those that it has are not made again.
        process: Makes the record of an image from its key and its grey values.
        draw: Is called with each image and its record, made now or before.
        progress: Show a progress bar on the standard error.

    Returns:
        The path of the file.

    Raises:
        KeyboardInterrupt: The message says how to go on.
        OSError: A file cannot be written.
        ValueError: Not one of the images can be read.
    """
    skipped: dict[str, str] = {}
    try:
        for key, path in tqdm(images.items(), unit="image", disable=not progress):
            try:
                digest, grey = _read(key, path)
            except (OSError, ValueError) as error:
                skipped[key] = str(error)
                tqdm.write(f"skipped {key}: {error}", file=sys.stderr)
                continue
            record = unfinished.get(key, digest)
            if record is None:
                record = process(key, grey)
                unfinished.add(key, record, digest)
            if draw is not None:
                draw(key, grey, record)
    except KeyboardInterrupt:
        unfinished.save()
        raise KeyboardInterrupt(f"interrupted; the same command goes on with {unfinished.folder}") from None
    if len(skipped) == len(images):
        raise ValueError(f"none of {len(images)} images could be read: {next(iter(skipped.values()))}")
    out = unfinished.finish([key for key in images if key not in skipped], skipped)
    if skipped:
        print(f"{len(skipped)} of {len(images)} images skipped, as listed in {out}", file=sys.stderr)
    return out


def _read(key: str, path: Path) -> tuple[str, Grey]:
    """The SHA-256 of an image file and its grey values."""
    if check_key(key) != key:
        raise ValueError(f"{path} has a backslash in its name")
    return hashlib.sha256(path.read_bytes()).hexdigest(), read_image(path)
