"""What may be written where: a verb replaces only what it can prove to be its own, and says so before the work."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from .errors import InputError
from .files import AnyPath, remove_leftovers_of, target_of
from .locks import locked, locked_folder

ADVICE = "remove it, or choose another output"
"""How to go on where something is in the way."""


@contextlib.contextmanager
def claimed(path: AnyPath, kind: str, is_own: Callable[[Path], bool]) -> Iterator[None]:
    """Keeps a file that will be written for this block: it can be written, no other process does, and nothing is lost.

    What a killed process left under a temporary name of it is removed.

    Args:
        path: The file; a link stands for what it leads to.
        kind: What is written there, for the message: "a picture of matches".
        is_own: Whether a file that is there is such a one, which may be replaced.

    Raises:
        InputError: Something else is there, or another process is writing it; the message names it.
        OSError: It cannot be written; the message names it.
    """
    with locked(path):
        check_own([path], kind, is_own)
        remove_leftovers_of(target_of(path))
        yield


@contextlib.contextmanager
def claimed_folder(folder: AnyPath, names: Iterable[str], kind: str, is_own: Callable[[Path], bool]) -> Iterator[None]:
    """`claimed` of files of these names in a folder, which is made."""
    paths = [Path(folder, name) for name in names]
    if Path(folder).exists() and not Path(folder).is_dir():
        raise InputError(f"{folder} is a file, not a folder: {ADVICE}")
    with locked_folder(folder):
        check_own(paths, kind, is_own)
        remove_leftovers_of(*map(target_of, paths))
        yield


def check_writable(folder: AnyPath) -> None:
    """Makes a folder and sees that files can be written there.

    Raises:
        OSError: They cannot; the message names it.
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(f"cannot write in {folder}: {error}") from error


def check_own(paths: Iterable[AnyPath], kind: str, is_own: Callable[[Path], bool]) -> None:
    """Refuses to replace what is none of our own.

    Raises:
        InputError: See `claimed`.
    """
    for path in paths:
        target = target_of(path)
        if not target.exists():
            continue
        if not target.is_file():
            raise InputError(f"{path} is a {'folder' if target.is_dir() else 'device'}, not a file: {ADVICE}")
        if not is_own(target):
            raise InputError(f"{path} is there and not known as {kind} of this program; it is not replaced: {ADVICE}")
