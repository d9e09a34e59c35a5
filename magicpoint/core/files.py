"""Files that are whole or not there."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Lets ``write`` fill a temporary file beside ``path``, then renames it: ``path`` is old or new, never half.

    Raises:
        OSError: naming the file, when it cannot be written; the temporary file is gone then.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(temporary)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, (OSError, RuntimeError)):
            raise OSError(f"cannot write {path}: {error}") from error
        raise


def write_text(path: Path, text: str) -> None:
    """Writes a file in UTF-8, whole or not at all."""
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def check_not_replaced(sources: Sequence[str | Path], out: Path, kind: str) -> None:
    """Refuses an output that is one of the files that it is made from.

    Raises:
        ValueError: It is one; the message names that as an image, a source or whatever ``kind`` says.
    """
    for source in sources:
        if out.exists() and Path(source).exists() and out.samefile(source):
            raise ValueError(f"the output would replace the {kind} {source}: choose another output")
