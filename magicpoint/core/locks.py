"""An output is written by one process at a time.

The system holds the locks, so a process that dies holds none, however it died.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from .errors import InputError
from .files import AnyPath

LOCK_FILE = ".lock"
"""What lies in a folder while a process writes it."""


@contextlib.contextmanager
def locked(path: AnyPath) -> Iterator[None]:
    """Keeps a file, or what has its place, for this block; the lock lies beside it as `.NAME.lock` and goes at the end.

    The folder around it is made. Two links to one file are one output.

    Raises:
        InputError: Another process, or another block of this one, is writing it; the message names it.
        OSError: The folder around it cannot be written; the message names the file.
    """
    target = Path(os.path.realpath(path))
    with _held(target.with_name(f".{target.name}.lock"), path):
        yield


@contextlib.contextmanager
def locked_folder(folder: AnyPath) -> Iterator[None]:
    """Keeps a folder, which is made, for this block; the lock lies in it as `LOCK_FILE` and goes at the end.

    A folder that was made for this and is still empty goes, too.

    Raises:
        InputError: Another process, or another block of this one, is writing it; the message names it.
        OSError: It cannot be written; the message names it.
    """
    target = Path(os.path.realpath(folder))
    made = not target.exists()
    try:
        with _held(target / LOCK_FILE, folder):
            yield
    finally:
        if made:
            with contextlib.suppress(OSError):  # it is not empty, as a rule
                target.rmdir()


@contextlib.contextmanager
def _held(file: Path, output: AnyPath) -> Iterator[None]:
    lock = FileLock(file, timeout=0)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise InputError(
            f"{os.fspath(output)} is being written by another process: wait for its end, or choose another output"
        ) from error
    except OSError as error:
        raise OSError(f"cannot write {os.fspath(output)}: {error.strerror or error}") from error
    try:
        yield
    finally:
        # While it is held: who opened it before this finds that it has no name any more, and does not take it. Windows
        # removes no open file; there it goes afterwards, unless the next process has it already.
        with contextlib.suppress(OSError):
            file.unlink()
        lock.release()
        if os.name == "nt":
            with contextlib.suppress(OSError):
                file.unlink()
