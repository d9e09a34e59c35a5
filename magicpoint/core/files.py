"""Files that are whole or not there."""

from __future__ import annotations

import contextlib
import os
import re
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

    The folder is made. A link stays: the file that it leads to is written.

    Raises:
        OSError: naming the file, when it cannot be written; the temporary file is gone then.
    """
    path = Path(path)
    target = target_of(path)
    temporary = temporary_beside(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        put_in_place(temporary, target)
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
    remove_leftovers_of(folder)
    unfinished = temporary_beside(folder)
    try:
        write(unfinished)
        os.replace(unfinished, folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def target_of(path: AnyPath) -> Path:
    """The file that is written where a path is asked for: where it is a link, what it leads to."""
    path = Path(path)
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def temporary_beside(path: Path, suffix: str = ".tmp") -> Path:
    """A name in the same folder for what will be `path`; as it begins with a dot, nothing takes it for a result."""
    return path.with_name(f".{path.name}.{os.getpid()}{suffix}")


def is_leftover(path: Path, names: Iterable[str]) -> bool:
    """Whether a file or folder is what `temporary_beside` calls the beginning of one of these, left by a process that
    was killed.
    """
    match = _TEMPORARY.fullmatch(path.name)
    is_own = match is not None and match["name"] in names and not path.is_symlink()
    return is_own and match is not None and not _is_alive(int(match["process"]))


def remove_leftovers(folder: Path, names: Iterable[str]) -> None:
    """Removes what killed processes left of these files; only where nobody else writes them (`core.locks`)."""
    names = frozenset(names)
    for path in [*folder.glob(".*.tmp*")] if folder.is_dir() else []:
        if is_leftover(path, names):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def remove_leftovers_of(*paths: Path) -> None:
    """`remove_leftovers` of outputs wherever they are."""
    names: dict[Path, set[str]] = {}
    for path in paths:
        names.setdefault(path.parent, set()).add(path.name)
    for folder, of_folder in names.items():
        remove_leftovers(folder, of_folder)


_TEMPORARY = re.compile(r"\.(?P<name>.+)\.(?P<process>[0-9]{1,9})\.tmp(\.\w+)?", re.DOTALL)


def _is_alive(process: int) -> bool:
    """Whether it is another process that runs; on Windows, which removes no open file, that need not be known."""
    if process == os.getpid() or os.name == "nt":
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # another user's, or no number of a process
        return True
    return True


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
