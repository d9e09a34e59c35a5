"""A stage that turns each image of a list into a record: skips what is no image, and goes on after a stop.

Files are read and decoded by threads while the network works on the images before them; OpenCV and NumPy let other
threads run meanwhile. The network still sees one image at a time: batches would gain 3 to 11 % on a CPU, and an image
would no longer give the same bits alone and among others, so images are not sorted by size either.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import logging
import os
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ..core.errors import InputError
from .images import decode_image
from .records import RecordFile, check_key, folders_of
from .unfinished import ADVICE, UnfinishedRecords
from .video import VIDEO_SUFFIXES, open_source, read_ahead

Record = TypeVar("Record")
Grey = NDArray[np.float32]

LOADERS = min(8, max(1, (os.cpu_count() or 1) // 2))
"""Threads that read images. One is ten times faster than a network on the CPU, a GPU needs several."""

WAITING_PIXELS = 2**25
"""No further image is read while those that wait have this many pixels, 128 MB, however many small ones could wait."""

IsKnown = Callable[[str, str], bool]
"""Whether nothing is to be done for an image of this key and digest."""

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


@dataclasses.dataclass(frozen=True)
class _Loaded:
    """An image and the SHA-256 of its file, or, of a frame, of its grey values; or why there is none.

    There are no grey values where they are not needed: the record of just this file is there, and nothing is drawn.
    """

    key: str
    digest: str
    grey: Grey | None
    error: str | None = None


def process_images(
    images: Mapping[str, Path],
    unfinished: UnfinishedRecords[Record],
    process: Callable[[str, Grey], Record],
    draw: Callable[[str, Grey, Record], object] | None = None,
    progress: bool = True,
    videos: bool = False,
) -> ProcessedImages:
    """Make the records of images and join them to one file.

    An image that cannot be read is reported in the log, listed in the file and left out. So is a truncated video, whose
    frames up to there stay. An earlier file is replaced when the new one is complete, and it is said how many of its
    images have changed since.

    Args:
        images: Keys and paths, as from `io.finding.find_images`.
        unfinished: Where the records are kept; those that it has are not made again.
        process: Makes the record of an image from its key and its grey values.
        draw: Is called with each image and its record, made now or before.
        progress: Show a progress bar on the standard error.
        videos: Take a path with one of `io.video.VIDEO_SUFFIXES` for the images that are its frames, under the keys
            KEY/000000, KEY/000001 and so on.

    Raises:
        KeyboardInterrupt: The message says how to go on.
        OSError: A file cannot be written.
        InputError: Not one of the images can be read, or an earlier file holds others than these.
    """
    _check_earlier(images, unfinished.earlier)
    made: list[str] = []
    skipped: dict[str, str] = {}
    kept = changed = 0
    has_videos = videos and any(map(_is_video, images.values()))

    def is_known(key: str, digest: str) -> bool:
        return draw is None and unfinished.has(key, digest)

    try:
        with contextlib.closing(_load_all(images, videos, is_known)) as loaded:
            for image in tqdm(loaded, total=None if has_videos else len(images), unit="image", disable=not progress):
                if image.error is not None:
                    skipped[image.key] = image.error
                    _LOG.warning("skipped %s: %s", image.key, image.error)
                    continue
                changed += _has_changed(image, unfinished.earlier)
                record = None if image.grey is None else unfinished.get(image.key, image.digest)
                kept += image.grey is None or record is not None
                if image.grey is not None:
                    if record is None:
                        record = process(image.key, image.grey)
                        unfinished.add(image.key, record, image.digest)
                    if draw is not None:
                        draw(image.key, image.grey, record)
                made.append(image.key)
    except KeyboardInterrupt:
        unfinished.save()
        raise KeyboardInterrupt(f"interrupted; the same command goes on with {unfinished.folder}") from None
    if not made:
        raise InputError(f"none of {len(images)} images could be read: {next(iter(skipped.values()))}")
    out = unfinished.finish(made, skipped)
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


def _has_changed(image: _Loaded, earlier: RecordFile[Record] | None) -> bool:
    return earlier is not None and image.key in earlier and earlier.digest(image.key) != image.digest


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES


def _load_all(images: Mapping[str, Path], videos: bool, is_known: IsKnown) -> Generator[_Loaded, None, None]:
    """The images in their order."""
    for are_videos, group in groupby(images.items(), key=lambda item: videos and _is_video(item[1])):
        load = _load_videos if are_videos else partial(_load_files, is_known=is_known)
        with contextlib.closing(load(group)) as loaded:
            yield from loaded


def _load_files(images: Iterator[tuple[str, Path]], is_known: IsKnown) -> Generator[_Loaded, None, None]:
    waiting: deque[Future[_Loaded]] = deque()
    with ThreadPoolExecutor(LOADERS, thread_name_prefix="read_image") as pool:
        try:
            while True:
                while _has_room(waiting) and (item := next(images, None)) is not None:
                    waiting.append(pool.submit(_load_file, *item, is_known))
                if not waiting:
                    return
                yield waiting.popleft().result()
        finally:
            for image in waiting:
                image.cancel()


def _has_room(waiting: deque[Future[_Loaded]]) -> bool:
    ready = sum(grey.size for image in waiting if image.done() and (grey := image.result().grey) is not None)
    return not waiting or (len(waiting) < 2 * LOADERS and ready < WAITING_PIXELS)


def _load_file(key: str, path: Path, is_known: IsKnown) -> _Loaded:
    try:
        _check(key, path)
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        return _Loaded(key, digest, None if is_known(key, digest) else decode_image(content, path))
    except (OSError, InputError) as error:
        return _Loaded(key, "", None, str(error))


def _load_videos(videos: Iterator[tuple[str, Path]]) -> Generator[_Loaded, None, None]:
    for key, path in videos:
        try:
            _check(key, path)
            with read_ahead(_load_frames(key, path)) as frames:
                yield from frames
        except (OSError, InputError) as error:
            yield _Loaded(key, "", None, str(error))


def _load_frames(key: str, path: Path) -> Generator[_Loaded, None, None]:
    for number, grey in enumerate(open_source(path).frames):
        yield _Loaded(f"{key}/{number:06d}", hashlib.sha256(grey.data).hexdigest(), grey)


def _check(key: str, path: Path) -> None:
    if check_key(key) != key:
        raise InputError(f"{path} has a backslash in its name")
