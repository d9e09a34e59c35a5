"""Files that are whole or not there."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from .errors import InputError

AnyPath = str | os.PathLike[str]
"""What public functions take for a path."""


_SPECIAL = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISDIR, "a folder"),
)


def check_regular(path: AnyPath) -> int:
    """The size in bytes of what is a file, or a link to one, found out without opening it.

    To open a pipe waits for ever, to read a device may give bytes without end.

    Raises:
        OSError: There is nothing.
        InputError: It is something else; the message says what.
    """
    found = os.stat(path)
    if not stat.S_ISREG(found.st_mode):
        kind = next((name for is_kind, name in _SPECIAL if is_kind(found.st_mode)), "something else")
        raise InputError(f"{os.fspath(path)} is no file but {kind}")
    return found.st_size


def write_atomically(path: AnyPath, write: Callable[[Path], object]) -> None:
    """Lets `write` fill a temporary file beside `path`, then renames it: `path` is old or new, never half.

    The folder is made.

    Raises:
        OSError: naming the file, when it cannot be written; the temporary file is gone then.
    """
    path = Path(path)
    temporary = temporary_beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        put_in_place(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, (OSError, RuntimeError)):
            raise OSError(f"cannot write {path}: {error}") from error
        raise


def write_folder(folder: Path, write: Callable[[Path], object]) -> None:
    """Lets `write` make and fill a folder beside this one, then renames it: it is whole or not there.

    What a killed process had begun is begun anew.
    """
    unfinished = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(unfinished, ignore_errors=True)
    write(unfinished)
    os.replace(unfinished, folder)


def temporary_beside(path: Path, suffix: str = ".tmp") -> Path:
    """A name in the same folder for what will be `path`; as it begins with a dot, nothing takes it for a result."""
    return path.with_name(f".{path.name}.{os.getpid()}{suffix}")


def is_leftover(path: Path, names: Iterable[str], suffix: str = ".tmp") -> bool:
    """Whether a file is what `temporary_beside` calls the beginning of one of these, which a killed process left."""
    own, number = path.name[1:].removesuffix(suffix).rpartition(".")[::2]
    leftover = path.name == f".{own}.{number}{suffix}" and own in names and number.isdecimal()
    return leftover and path.is_file() and not path.is_symlink()


def remove_leftovers(folder: Path, names: Iterable[str], suffix: str = ".tmp") -> None:
    """Removes what killed processes left of these files; only for a folder that nobody else writes (`core.locks`)."""
    for path in [*folder.glob(f".*{suffix}")]:
        if is_leftover(path, names, suffix):
            path.unlink(missing_ok=True)


def put_in_place(temporary: Path, path: Path) -> None:
    """Renames a complete file, in place of an older one, when it is on the disk."""
    with open(temporary, "rb+") as file:
        os.fsync(file.fileno())
    os.replace(temporary, path)


def write_text(path: AnyPath, text: str) -> None:
    """Writes a file in UTF-8, whole or not at all."""
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def check_not_replaced(sources: Sequence[AnyPath], out: Path, kind: str) -> None:
    """Refuses an output that is one of the files that it is made from.

    Raises:
        InputError: It is one; the message names that as an image, a source or whatever `kind` says.
    """
    for source in sources:
        if out.exists() and Path(source).exists() and out.samefile(source):
            raise InputError(f"the output would replace the {kind} {source}: choose another output")
