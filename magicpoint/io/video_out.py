"""Pictures in their order to a video file or a folder."""

from __future__ import annotations

import functools
import os
import re
import struct
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from ..core.errors import InputError, MissingPackageError
from ..core.extras import require
from ..core.files import AnyPath, put_in_place, remove_leftovers_of, target_of, temporary_beside
from .images import write_png
from .png_text import title_of
from .video import SourceEnded

DEFAULT_RATE = 25.0
"""Frames a second of a picture sequence that says nothing about its rate."""

# Encoders of OpenCV's own FFmpeg that are free everywhere and play in common players, mp4v in no browser: there
# `_H264Writer` stands in for it where PyAV is installed.
_CODECS = {".mp4": "mp4v", ".mov": "mp4v", ".avi": "MJPG", ".mkv": "MJPG"}


_MARK = b"written by magicpoint track"  # of an odd length, as a RIFF chunk then has a byte behind it
_MARKS = {
    ".mp4": struct.pack(">I4s", 8 + len(_MARK), b"free") + _MARK,
    ".mov": struct.pack(">I4s", 8 + len(_MARK), b"free") + _MARK,
    ".avi": struct.pack("<4sI", b"JUNK", len(_MARK)) + _MARK + b"\0",
    ".mkv": bytes([0xEC, 0x80 | len(_MARK)]) + _MARK,
}
"""What stands behind the end of a video: for its players a box, chunk or element to pass over."""


def is_own_video(path: Path) -> bool:
    """Whether a file is a video that a sink wrote, which another may replace."""
    mark = _MARKS.get(path.suffix.lower(), _MARK)
    with open(path, "rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - len(mark)))
        return file.read() == mark


_TITLE = "tracks"
_LEFTOVER = re.compile(r"\.([0-9]{6,})\.png\..*", re.DOTALL)


def _is_own_frame(path: Path) -> bool:
    return path.is_file() and re.fullmatch(r"[0-9]{6,}\.png", path.name) is not None and title_of(path) == _TITLE


class FrameSink(Protocol):
    """Where pictures (H, W, 3), uint8, red first, go in their order; a context manager."""

    def write(self, picture: NDArray[np.uint8]) -> None: ...

    def __enter__(self) -> FrameSink: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def open_sink(out: AnyPath, rate: float | None) -> FrameSink:
    """A sink for a video file (.mp4, .mov, .avi, .mkv) or, where the path has no suffix, for a folder of PNG files.

    A video is written under a temporary name and renamed when the block is left, so an older one stays until then. It
    is kept where the block was left by `SourceEnded` or `KeyboardInterrupt`, and removed at any other error. A side of
    an odd number of pixels loses its last one, which the codecs do not take. What ends in .mp4 or .mov is H.264 in
    yuv420p, which browsers play, where PyAV is installed (the extra `video`); else MPEG-4 part 2, which they do not.

    Args:
        out: Its folder is made.
        rate: Frames a second; None stands for `DEFAULT_RATE`.

    Raises:
        FileExistsError: The folder holds something else than the frames of an earlier run, which are replaced.
        InputError: The suffix is of no video that can be written.
    """
    out = Path(out)
    if out.suffix.lower() in _CODECS:
        return _VideoSink(out, rate or DEFAULT_RATE)
    if out.suffix:
        raise InputError(f"{out}: a video ends in {', '.join(_CODECS)}; a folder for PNG files has no suffix")
    return _FolderSink(out)


@functools.cache
def has_h264() -> bool:
    """Whether there is PyAV with an encoder of H.264."""
    try:
        av = require("av", "video")
        return "libx264" in av.codecs_available
    except (MissingPackageError, AttributeError):
        return False


class _H264Writer:
    """H.264 in yuv420p by PyAV, with the calls of OpenCV's writer."""

    def __init__(self, path: Path, rate: float, width: int, height: int) -> None:
        self._av: Any = require("av", "video")
        self._size = width - width % 2, height - height % 2
        self._file = self._av.open(str(path), "w", options={"movflags": "faststart"})
        self._stream = self._file.add_stream("libx264", rate=Fraction(rate).limit_denominator(100_000))
        self._stream.width, self._stream.height = self._size
        self._stream.pix_fmt = "yuv420p"
        # A frame of 480x640 takes 3 ms of one core, with the preset veryfast 7 at a third of the size.
        self._stream.options = {"preset": "ultrafast", "crf": "21"}

    def write(self, picture: NDArray[np.uint8]) -> None:
        width, height = self._size
        frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(picture[:height, :width]), format="rgb24")
        self._file.mux(self._stream.encode(frame))

    def release(self) -> None:
        self._file.mux(self._stream.encode(None))
        self._file.close()


class _VideoSink:
    def __init__(self, out: Path, rate: float) -> None:
        self._out, self._rate = target_of(out), rate
        # FFmpeg chooses the container by the suffix, so that it has to stay at the end.
        self._temporary = temporary_beside(self._out, f".tmp{out.suffix}")
        self._mark = _MARKS[out.suffix.lower()]
        self._writer: Any = None
        self._size = (0, 0)
        self._count = 0

    def write(self, picture: NDArray[np.uint8]) -> None:
        height, width = picture.shape[:2]
        if self._writer is None:
            self._size = (width, height)
            self._writer = self._open(width, height)
        if self._size != (width, height):
            raise InputError(
                f"{self._out}: frame {self._count} is {width}x{height}, those before it are "
                f"{self._size[0]}x{self._size[1]}, and a video has one size: write a folder of PNG files"
            )
        self._writer.write(picture if isinstance(self._writer, _H264Writer) else picture[..., ::-1].copy())
        self._count += 1

    def _open(self, width: int, height: int) -> Any:
        self._out.parent.mkdir(parents=True, exist_ok=True)
        if self._out.suffix.lower() in (".mp4", ".mov") and has_h264():
            return _H264Writer(self._temporary, self._rate, width, height)
        code = cv2.VideoWriter.fourcc(*_CODECS[self._out.suffix.lower()])
        writer = cv2.VideoWriter(str(self._temporary), code, self._rate, (width, height))
        if not writer.isOpened():
            raise OSError(f"cannot write {self._out}: no encoder for {width}x{height}, or the folder is not writable")
        return writer

    def __enter__(self) -> _VideoSink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is None:
            return
        try:
            self._writer.release()
            if kind is None or issubclass(kind, (SourceEnded, KeyboardInterrupt)):
                self._check()
                with open(self._temporary, "ab") as file:
                    file.write(self._mark)
                put_in_place(self._temporary, self._out)
        except OSError as failure:
            raise OSError(f"cannot write {self._out}: {failure}") from failure
        finally:
            self._temporary.unlink(missing_ok=True)

    def _check(self) -> None:
        """A full disk is nothing that OpenCV reports."""
        written = cv2.VideoCapture(str(self._temporary))
        count = round(written.get(cv2.CAP_PROP_FRAME_COUNT)) if written.isOpened() else 0
        written.release()
        if count < self._count - 1:
            raise OSError(f"it holds {count} of {self._count} frames; is the disk full?")


class _FolderSink:
    def __init__(self, out: Path) -> None:
        out.mkdir(parents=True, exist_ok=True)
        self._earlier = sorted(entry for entry in out.iterdir() if not _LEFTOVER.fullmatch(entry.name))
        foreign = next((entry for entry in self._earlier if not _is_own_frame(entry)), None)
        if foreign is not None:
            raise FileExistsError(
                f"the folder {out} holds {foreign.name}, which is no frame of this program: the new ones would stand "
                "among other files"
            )
        remove_leftovers_of(
            *(out / f"{found[1]}.png" for entry in out.iterdir() if (found := _LEFTOVER.match(entry.name)))
        )
        self._out = out
        self._count = 0

    def write(self, picture: NDArray[np.uint8]) -> None:
        write_png(self._out / f"{self._count:06d}.png", picture, _TITLE)
        self._count += 1

    def __enter__(self) -> _FolderSink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Each file is complete already; those of an earlier, longer run go."""
        written = {f"{number:06d}.png" for number in range(self._count)}
        for entry in self._earlier:
            if entry.name not in written:
                entry.unlink(missing_ok=True)
