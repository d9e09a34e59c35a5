"""The images of a list in their order, read and decoded by threads ahead of their use."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import groupby
from pathlib import Path

from ..core.errors import InputError
from .finding import is_tar
from .grey import GreyImage
from .images import decode_image, read_content
from .masks import both_masks, decode_mask
from .reading import ImageReading
from .records import check_key
from .remote import address_of
from .stamps import Stamp, Stamps, stamp_of
from .tars import TarImages
from .video import VIDEO_SUFFIXES, open_source, read_ahead

LOADERS = min(8, max(1, (os.cpu_count() or 1) // 2))
"""Threads that read images. One is ten times faster than a network on the CPU, a GPU needs several."""

WAITING_PIXELS = 2**25
"""No further image is read while those that wait have this many pixels, 128 MB, however many small ones could wait."""

IsKnown = Callable[[str, str], bool]
"""Whether nothing is to be done for an image of this key and digest."""


@dataclasses.dataclass(frozen=True)
class Loaded:
    """An image and the SHA-256 of its file, or, of a frame, of its grey values; or why there is none.

    There is no image where it is not needed: the record of just this file is there, and nothing is drawn.
    """

    key: str
    digest: str
    image: GreyImage | None
    error: str | None = None


@dataclasses.dataclass
class Remarks:
    """What is to be said about how images were read.

    Args:
        lows: The stored values that became black, where they are others than the number format's.
        highs: Those that became white.
        several: Keys of images that are the first of an animation or of pages.
    """

    lows: list[float] = dataclasses.field(default_factory=list)
    highs: list[float] = dataclasses.field(default_factory=list)
    several: list[str] = dataclasses.field(default_factory=list)

    def add(self, key: str, image: GreyImage) -> None:
        if image.stretched:
            self.lows.append(image.limits[0])
            self.highs.append(image.limits[1])
        if image.several:
            self.several.append(key)

    def lines(self) -> list[str]:
        """Each in a line."""
        lines = []
        if self.lows:
            low, high = _span(self.lows), _span(self.highs)
            count = len(self.lows)
            lines.append(
                f"range auto: {count} {'image uses' if count == 1 else 'images use'} few values; black is {low}, "
                f"white {high}"
            )
        if self.several:
            count = len(self.several)
            lines.append(
                f"{count} {'image is' if count == 1 else 'images are'} animated or of several pages, of which the "
                f"first was taken, such as {self.several[0]}"
            )
        return lines


def _span(values: list[float]) -> str:
    low, high = f"{min(values):g}", f"{max(values):g}"
    return low if low == high else f"{low} to {high}"


def load_images(
    images: Mapping[str, Path],
    is_known: IsKnown,
    videos: bool = False,
    reading: ImageReading | None = None,
    masks: Mapping[str, Path] | None = None,
    stamps: Stamps | None = None,
) -> Generator[Loaded, None, None]:
    """The images in their order; what cannot be read comes with its reason.

    Args:
        images: Keys and paths, as from `io.finding.find_images`.
        is_known: Says of which no more than the digest is needed.
        videos: Take a path with one of `io.video.VIDEO_SUFFIXES` for the images that are its frames.
        reading: None stands for `ImageReading()`.
        masks: Files of masks by the images' keys, of a video for all its frames; see `io.masks`. The digest is over
            both files.
        stamps: Which files need not be read since they are as they were; None reads all.

    Raises:
        OSError: A tar file cannot be read: what would come of it is many images.
        InputError: One is damaged, see `io.tars`.
    """
    stream = _Stream(is_known, reading or ImageReading(), masks or {}, stamps)

    def kind(item: tuple[str, Path]) -> Callable[[Iterator[tuple[str, Path]]], Generator[Loaded, None, None]]:
        if is_tar(item[1]):
            return stream.load_tars
        return stream.load_videos if videos and is_video(item[1]) else stream.load_files

    for load, group in groupby(images.items(), key=kind):
        with contextlib.closing(load(group)) as loaded:
            yield from loaded


def is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES


@dataclasses.dataclass(frozen=True)
class _Stream:
    is_known: IsKnown
    reading: ImageReading
    masks: Mapping[str, Path]
    stamps: Stamps | None

    def load_files(self, images: Iterator[tuple[str, Path]]) -> Generator[Loaded, None, None]:
        return _in_threads(partial(self._load_file, *item) for item in images)

    def load_tars(self, tars: Iterator[tuple[str, Path]]) -> Generator[Loaded, None, None]:
        """The images in tar files, one file after the other, so that no more than one has to be known."""
        for key, path in tars:
            stamp = self._stamp([path])
            with TarImages(path) as tar:
                loads = (partial(self._load_member, f"{key}/{name}", tar, name, stamp) for name in tar)
                with contextlib.closing(_in_threads(loads)) as loaded:
                    yield from loaded

    def _load_file(self, key: str, path: Path) -> Loaded:
        mask = self.masks.get(key)
        try:
            stamp = self._stamp([path] if mask is None else [path, mask])
        except OSError as error:
            return _failed(key, path, error)
        read = partial(read_content, path, self.reading)
        return self._load(key, path, stamp, read, mask, partial(read_content, mask or path, self.reading))

    def _load_member(self, key: str, tar: TarImages, name: str, stamp: Stamp) -> Loaded:
        mask = tar.mask(name)
        read, read_mask = (partial(of, name, self.reading) for of in (tar.read, tar.read_mask))
        return self._load(key, tar.place(tar[name]), stamp, read, mask and tar.place(mask), read_mask)

    def _stamp(self, paths: list[Path]) -> Stamp:
        """Nothing is known of what is elsewhere, or where nobody asks."""
        if self.stamps is None or any(address_of(path) is not None for path in paths):
            return []
        return stamp_of(paths)

    def _load(
        self,
        key: str,
        path: Path,
        stamp: Stamp,
        read: Callable[[], bytes],
        mask: Path | None,
        read_mask: Callable[[], bytes],
    ) -> Loaded:
        """An image of which the paths, of itself and of its mask, are for messages."""
        try:
            _check(key, path)
            seen = None if self.stamps is None else self.stamps.digest(key, stamp)
            if seen is not None and self.is_known(key, seen):
                return Loaded(key, seen, None)
            content = read()
            of_mask = b"" if mask is None else read_mask()
            digest = hashlib.sha256(content + of_mask).hexdigest()
            if self.stamps is not None:
                self.stamps.note(key, stamp, digest)
            if self.is_known(key, digest):
                return Loaded(key, digest, None)
            image = decode_image(content, path, self.reading)
            return Loaded(key, digest, image if mask is None else self._masked(image, of_mask, mask))
        except (OSError, InputError, MemoryError) as error:
            return _failed(key, path, error)

    def load_videos(self, videos: Iterator[tuple[str, Path]]) -> Generator[Loaded, None, None]:
        for key, path in videos:
            try:
                _check(key, path)
                with read_ahead(self._load_frames(key, path)) as frames:
                    yield from frames
            except (OSError, InputError, MemoryError) as error:
                yield _failed(key, path, error)

    def _load_frames(self, key: str, path: Path) -> Generator[Loaded, None, None]:
        mask = self.masks.get(key)
        of_mask = b"" if mask is None else read_content(mask, self.reading)
        for number, grey in enumerate(open_source(path, self.reading).frames):
            digest = hashlib.sha256(grey.data)
            digest.update(of_mask)
            image = GreyImage(grey)
            if mask is not None:
                image = self._masked(image, of_mask, mask)
            yield Loaded(f"{key}/{number:06d}", digest.hexdigest(), image)

    def _masked(self, image: GreyImage, content: bytes, path: Path) -> GreyImage:
        height, width = image.grey.shape
        mask = decode_mask(content, path, (height, width), self.reading)
        return dataclasses.replace(image, mask=both_masks(image.mask, mask))


def _in_threads(loads: Iterator[Callable[[], Loaded]]) -> Generator[Loaded, None, None]:
    """What these give, in their order."""
    waiting: deque[Future[Loaded]] = deque()
    with ThreadPoolExecutor(LOADERS, thread_name_prefix="read_image") as pool:
        try:
            while True:
                while _has_room(waiting) and (load := next(loads, None)) is not None:
                    waiting.append(pool.submit(load))
                if not waiting:
                    return
                yield waiting.popleft().result()
        finally:
            for image in waiting:
                image.cancel()


def _has_room(waiting: deque[Future[Loaded]]) -> bool:
    ready = sum(image.grey.size for one in waiting if one.done() and (image := one.result().image) is not None)
    return not waiting or (len(waiting) < 2 * LOADERS and ready < WAITING_PIXELS)


def _failed(key: str, path: Path, error: Exception) -> Loaded:
    reason = f"{path} needs more memory than there is" if isinstance(error, MemoryError) else str(error)
    return Loaded(key, "", None, reason)


def _check(key: str, path: Path) -> None:
    if check_key(key) != key:
        raise InputError(f"{path} has a backslash in its name")
