"""A stage that turns each image of a list into a record: skips what is no image, and goes on after a stop.

Files are read and decoded by threads while the network works on the images before them; OpenCV and NumPy let other
threads run meanwhile. The network still sees one image at a time: batches would gain 3 to 11 % on a CPU, and an image
would no longer give the same bits alone and among others, so images are not sorted by size either.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ..core.errors import InputError
from .grey import GreyImage
from .reading import ImageReading
from .records import RecordFile, folders_of
from .stream import Loaded, Remarks, is_video, load_images
from .unfinished import ADVICE, UnfinishedRecords

Record = TypeVar("Record")
Grey = NDArray[np.float32]

_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class ProcessedImages:
    """What became of the images of a list.

    Args:
        path: The file with their records.
        images: Number of images, or frames, with a record.
        kept: Number of those whose record was there before.
        changed: Number of those that had changed since the earlier file.
        skipped: Why which images could not be read, by key.
    """

    path: Path
    images: int
    kept: int
    changed: int
    skipped: Mapping[str, str]


def process_images(
    images: Mapping[str, Path],
    unfinished: UnfinishedRecords[Record],
    process: Callable[[str, GreyImage], Record],
    draw: Callable[[str, Grey, Record], object] | None = None,
    progress: bool = True,
    videos: bool = False,
    reading: ImageReading | None = None,
    masks: Mapping[str, Path] | None = None,
) -> ProcessedImages:
    """Make the records of images and join them to one file.

    An image that cannot be read is reported in the log, listed in the file and left out. So is a truncated video, whose
    frames up to there stay. An earlier file is replaced when the new one is complete, and it is said how many of its
    images have changed since.

    Args:
        images: Keys and paths, as from `io.finding.find_images`.
        unfinished: Where the records are kept; those that it has are not made again.
        process: Makes the record of an image from its key and what was read.
        draw: Is called with each image and its record, made now or before.
        progress: Show a progress bar on the standard error.
        videos: Take a path with one of `io.video.VIDEO_SUFFIXES` for the images that are its frames, under the keys
            KEY/000000, KEY/000001 and so on.
        reading: How files are read; None stands for `ImageReading()`.
        masks: Files of masks by the images' keys.

    Raises:
        KeyboardInterrupt: The message says how to go on.
        OSError: A file cannot be written.
        InputError: Not one of the images can be read, or an earlier file holds others than these.
    """
    _check_earlier(images, unfinished.earlier)
    made: list[str] = []
    skipped: dict[str, str] = {}
    kept = changed = 0
    remarks = Remarks()
    has_videos = videos and any(map(is_video, images.values()))

    def is_known(key: str, digest: str) -> bool:
        return draw is None and unfinished.has(key, digest)

    try:
        with contextlib.closing(load_images(images, is_known, videos, reading, masks)) as loaded:
            for image in tqdm(loaded, total=None if has_videos else len(images), unit="image", disable=not progress):
                if image.error is not None:
                    skipped[image.key] = image.error
                    _LOG.warning("skipped %s: %s", image.key, image.error)
                    continue
                changed += _has_changed(image, unfinished.earlier)
                record = None if image.image is None else unfinished.get(image.key, image.digest)
                kept += image.image is None or record is not None
                if image.image is not None:
                    remarks.add(image.key, image.image)
                    if record is None:
                        record = process(image.key, image.image)
                        unfinished.add(image.key, record, image.digest)
                    if draw is not None:
                        draw(image.key, image.image.grey, record)
                made.append(image.key)
    except KeyboardInterrupt:
        unfinished.save()
        raise KeyboardInterrupt(f"interrupted; the same command goes on with {unfinished.folder}") from None
    if not made:
        raise InputError(f"none of {len(images)} images could be read: {next(iter(skipped.values()))}")
    out = unfinished.finish(made, skipped)
    for line in remarks.lines():
        _LOG.info("%s", line)
    if changed:
        _LOG.warning("%d of %d images had changed since the earlier %s, now replaced", changed, len(made), out)
    if skipped:
        _LOG.warning("%d of %d images skipped, as listed in %s", len(skipped), len(images), out)
    return ProcessedImages(out, len(made), kept, changed, skipped)


def _check_earlier(images: Mapping[str, Path], earlier: RecordFile[Record] | None) -> None:
    """Refuses to replace a file with records of other images: of none of these and no frame of one."""
    if earlier is None:
        return
    lost = [key for key in earlier if not any(name in images for name in (key, *folders_of(key)))]
    if lost:
        count = "an image" if len(lost) == 1 else f"{len(lost)} images"
        raise InputError(f"{earlier.path} holds {count} not asked for now, for instance {lost[0]}: {ADVICE}")


def _has_changed(image: Loaded, earlier: RecordFile[Record] | None) -> bool:
    return earlier is not None and image.key in earlier and earlier.digest(image.key) != image.digest
