"""Which files are as they were when they were read last: by their sizes and times, so that they need not be read again.

What was seen of the files of an output stands in a file of the cache, by the output's path. A file that was written
less than two seconds before it was looked at is not noted: it could change again within what its system's clock can
tell.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..core.cache import keep, recall
from ..core.files import AnyPath, target_of

_SETTLED = 2_000_000_000  # nanoseconds; file systems count in steps of up to two seconds

Stamp = list[int]


def stamp_of(paths: Sequence[Path]) -> Stamp:
    """Size, times of change and number of each file; a change of content alone changes the second time on POSIX.

    Raises:
        OSError: One is not there.
    """
    states = [os.stat(path) for path in paths]
    return [n for state in states for n in (state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino)]


class Stamps:
    """What is known of the files from which an output is made.

    Args:
        out: The output.
        trusted: Whether what was seen before counts.
    """

    def __init__(self, out: AnyPath, trusted: bool = True) -> None:
        path = os.path.abspath(target_of(Path(out)))
        self._name = f"files/{hashlib.sha256(path.encode('utf-8', 'surrogateescape')).hexdigest()[:32]}"
        self._before = recall(self._name) if trusted else {}
        self._now: dict[str, list[Any]] = {}

    def digest(self, key: str, stamp: Stamp) -> str | None:
        """The SHA-256 of the files of a key, where they were read before and are the same since."""
        match self._before.get(key):
            case [before, str(digest)] if before == stamp:
                self._now[key] = [stamp, digest]
                return digest
        return None

    def note(self, key: str, stamp: Stamp, digest: str) -> None:
        """Remembers what was read of files that had this stamp before."""
        if stamp and time.time_ns() - max(stamp[1::4] + stamp[2::4]) > _SETTLED:
            self._now[key] = [stamp, digest]

    def save(self) -> None:
        """Keeps it for the next run."""
        if self._now != self._before:
            keep(self._name, self._now)
