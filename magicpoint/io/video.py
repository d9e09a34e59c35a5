"""Frames from video files, cameras and image sequences, read ahead of their use."""

from __future__ import annotations

import contextlib
import dataclasses
import glob
import math
import os
import queue
import re
import threading
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from ..core.errors import InputError
from ..core.files import AnyPath, check_regular
from .finding import find_images, is_image_name
from .grey import to_grey
from .images import check_pixels, read_image
from .reading import ImageReading

VIDEO_SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv"})
"""What `magicpoint extract` takes for a video; `open_source` takes every file that OpenCV reads."""

READ_AHEAD = 4
"""Frames that wait for the network: it never waits for one that takes longer than the others to decode."""

# A container without an index has only the product of its length and rate for its number of frames.
_MISCOUNT = 0.02

Item = TypeVar("Item")
Grey = NDArray[np.float32]


class SourceEnded(InputError):
    """A source gives no more frames although there should be more; the message names it."""


@dataclasses.dataclass(frozen=True)
class FrameSource:
    """Frames in their order.

    Args:
        name: What messages call it.
        count: The number of frames, exact or, of a video, as its container says; None where it is not known.
        rate: Frames a second; None where nothing says it.
        frames: The grey values of each, float32 (H, W) in [0, 1]. It can be gone through once. It raises `SourceEnded`
            behind the last frame that there is where there should be another.
    """

    name: str
    count: int | None
    rate: float | None
    frames: Generator[Grey, None, None]


def open_source(source: AnyPath, reading: ImageReading | None = None) -> FrameSource:
    """Open a video file, a camera by its index, a folder of images, one image, or the images that a pattern finds.

    The images of a folder, see `io.finding.find_images`, and of a pattern such as `frames/*.png` come in the order of
    their names, numbers in these by value: 2 before 10. Frames of a video file are turned as the file says.

    Args:
        source: Its path, number or pattern.
        reading: None stands for `ImageReading()`; its range is for images alone, a video has 8 bits.

    Raises:
        FileNotFoundError: There is nothing of that name.
        OSError: A camera or file cannot be opened.
        InputError: A folder holds no images, or the file is no video, one of too large frames, or no file at all.
    """
    text, reading = os.fspath(source), reading or ImageReading()
    path = Path(text)
    if path.is_dir() or (path.is_file() and is_image_name(path)):
        return _open_sequence(text, list(find_images([path]).values()), reading)
    if path.exists():
        check_regular(path)
        return _open_video(text, path, reading)
    if re.fullmatch(r"\d+", text):
        return _open_camera(int(text))
    found = [Path(name) for name in glob.glob(text, recursive=True) if os.path.isfile(name)]
    if not found:
        raise FileNotFoundError(f"no video file, image, folder or camera {text}, and no image that it is a pattern of")
    return _open_sequence(text, found, reading)


def _open_sequence(name: str, paths: list[Path], reading: ImageReading) -> FrameSource:
    ordered = sorted(paths, key=_numbers_by_value)
    return FrameSource(name, len(ordered), None, _read_sequence(name, ordered, reading))


def _numbers_by_value(path: Path) -> tuple[list[tuple[int, int, str]], str]:
    parts = re.findall(r"\d+|\D+", path.as_posix())
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts], path.as_posix()


def _read_sequence(name: str, paths: list[Path], reading: ImageReading) -> Generator[Grey, None, None]:
    for number, path in enumerate(paths):
        try:
            grey = read_image(path, reading)
        except (OSError, ValueError) as error:
            raise SourceEnded(f"{name} ends after {number} of {len(paths)} images: {error}") from error
        yield grey


def _open_video(name: str, path: Path, reading: ImageReading) -> FrameSource:
    capture = cv2.VideoCapture(str(path))
    if not capture.isOpened():
        raise InputError(f"{path} is no video that OpenCV can read, or is truncated where the index of its frames was")
    check_pixels(int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)), path, reading)
    count = float(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    expected = round(count) if math.isfinite(count) and count >= 1 else None
    return FrameSource(name, expected, _rate(capture), _read_video(name, capture, expected))


def _read_video(name: str, capture: Any, expected: int | None) -> Generator[Grey, None, None]:
    number = 0
    with contextlib.closing(_read_capture(capture)) as frames:
        for number, frame in enumerate(frames, 1):  # noqa: B007
            yield frame
    if number == 0 or (expected is not None and number < expected - 1 - _MISCOUNT * expected):
        of = "" if expected is None else f" of {expected}"
        raise SourceEnded(f"{name} ends after {number}{of} frames: it is truncated or damaged")


def _open_camera(index: int) -> FrameSource:
    capture = cv2.VideoCapture(index)
    if not capture.isOpened():
        raise OSError(f"no camera {index}, or it is in use or not allowed")
    return FrameSource(f"camera {index}", None, _rate(capture), _film(capture, index))


def _rate(capture: Any) -> float | None:
    rate = float(capture.get(cv2.CAP_PROP_FPS))
    return rate if math.isfinite(rate) and rate > 0 else None


def _film(capture: Any, index: int) -> Generator[Grey, None, None]:
    with contextlib.closing(_read_capture(capture)) as frames:
        yield from frames
    raise SourceEnded(f"camera {index} gives no more frames")


def _read_capture(capture: Any) -> Generator[Grey, None, None]:
    try:
        while True:
            there, frame = capture.read()
            if not there:
                return
            yield to_grey(frame[..., ::-1] if frame.ndim == 3 else frame)
    finally:
        capture.release()


@dataclasses.dataclass(frozen=True)
class _End:
    error: BaseException | None = None


@contextlib.contextmanager
def read_ahead(items: Generator[Item, None, None], ahead: int = READ_AHEAD) -> Iterator[Iterator[Item]]:
    """Let a thread draw from a generator while what it gave before is used; at most `ahead` items wait.

    The items come in their order, and an error of the generator after those before it. When the block is left, however
    that comes about, the generator is closed and the thread has ended.
    """
    waiting: queue.Queue[Item | _End] = queue.Queue(ahead)
    stopped = threading.Event()

    def offer(item: Item | _End) -> bool:
        while not stopped.is_set():
            # Without a limit the thread would wait for ever where the reader of the queue has gone.
            with contextlib.suppress(queue.Full):
                waiting.put(item, timeout=0.05)
                return True
        return False

    def draw() -> None:
        end = _End()
        try:
            with contextlib.closing(items):
                for item in items:
                    if not offer(item):
                        return
        except BaseException as error:  # It belongs to the thread that uses the items.
            end = _End(error)
        offer(end)

    def take() -> Iterator[Item]:
        while not isinstance(item := waiting.get(), _End):
            yield item
        if item.error is not None:
            raise item.error

    thread = threading.Thread(target=draw, name="read_ahead", daemon=True)
    thread.start()
    try:
        yield take()
    finally:
        stopped.set()
        thread.join()


@contextlib.contextmanager
def write_behind(use: Callable[[Item], object], behind: int = READ_AHEAD) -> Iterator[Callable[[Item], None]]:
    """Let a thread use items while the next are made; at most `behind` items wait.

    The block gets a function that hands an item over. The items are used in their order, all of them before the block
    is left, however that comes about. An error of the thread is raised where the next item is handed over, or when the
    block is left; what was handed over behind it is not used.
    """
    waiting: queue.Queue[Item | _End] = queue.Queue(behind)
    errors: list[BaseException] = []

    def work() -> None:
        while not isinstance(item := waiting.get(), _End):
            if not errors:
                try:
                    use(item)
                except BaseException as error:  # It belongs to the thread that made the items.
                    errors.append(error)

    def hand_over(item: Item) -> None:
        if errors:
            raise errors[0]
        waiting.put(item)

    thread = threading.Thread(target=work, name="write_behind", daemon=True)
    thread.start()
    try:
        yield hand_over
    finally:
        waiting.put(_End())
        thread.join()
    if errors:
        raise errors[0]
