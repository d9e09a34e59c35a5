"""Tracks as a table: a line for each keypoint of each frame."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np
from numpy.typing import NDArray

from ..core.errors import InputError
from ..core.files import AnyPath, put_in_place, target_of, temporary_beside
from .video import SourceEnded

HEADER = "frame,track,x,y,length"
"""The first line. A frame and a track are counted from 0, x and y are in pixels of the frame, and length says in how
many frames up to this one the track was seen."""


def is_own_table(path: Path) -> bool:
    """Whether a file is such a table, which another may replace."""
    with open(path, "rb") as file:
        return file.readline(len(HEADER) + 2).rstrip(b"\r\n") == HEADER.encode()


class TrackTable:
    """A CSV file of tracks, a context manager.

    It is written under a temporary name and renamed when the block is left, also by `SourceEnded` and
    `KeyboardInterrupt`; any other error removes it.

    Args:
        path: Ends in .csv; its folder is made.

    Raises:
        OSError: It cannot be written, here or later.
        InputError: It ends otherwise.
    """

    def __init__(self, path: AnyPath) -> None:
        if Path(path).suffix.lower() != ".csv":
            raise InputError(f"a table of tracks is a CSV file, whose name ends in .csv, got {path}")
        self._out = target_of(path)
        self._temporary = temporary_beside(self._out)
        self._file: IO[str] | None = None
        self._frames = 0

    def write(self, keypoints: NDArray[np.float32], ids: NDArray[np.int64], lengths: NDArray[np.int64]) -> None:
        """Adds the keypoints (N, 2) of the next frame, with the ids (N,) and lengths (N,) of their tracks."""
        assert self._file is not None
        rows = zip(keypoints, ids.tolist(), lengths.tolist(), strict=True)
        # The shortest digits that give the same float32.
        lines = [f"{self._frames},{track},{x!s},{y!s},{length}\n" for (x, y), track, length in rows]
        self._file.writelines(lines)
        self._frames += 1

    def __enter__(self) -> TrackTable:
        self._out.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(self._temporary, "w", encoding="utf-8", newline="")
        self._file.write(f"{HEADER}\n")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._file is not None
        try:
            self._file.close()
            if kind is None or issubclass(kind, (SourceEnded, KeyboardInterrupt)):
                put_in_place(self._temporary, self._out)
        except OSError as failure:
            raise OSError(f"cannot write {self._out}: {failure}") from failure
        finally:
            self._temporary.unlink(missing_ok=True)
