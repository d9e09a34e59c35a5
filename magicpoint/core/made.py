"""Files and folders that another program makes for us: made once, and known as our own by a record beside them."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .errors import InputError
from .files import remove_leftovers_of, temporary_beside, write_text
from .outputs import ADVICE

_LOG = logging.getLogger(__name__)


def keep_made(path: Path, source: Mapping[str, Any], make: Callable[[Path], object]) -> bool:
    """Makes a file or a folder, unless it is there and was made from just this.

    NAME.made.json beside it says from what it was made, and with which content. What others have changed since is not
    replaced. Only where nobody else writes it (`core.locks`).

    Args:
        path: The file or folder: it is whole or not there.
        source: What it is made from, as JSON has it.
        make: Makes it at another path.

    Returns:
        Whether it was made now.

    Raises:
        OSError: It cannot be written.
        InputError: Something is there that this did not make, or that was changed since and would be made of something
            else now; it is named.
    """
    record = path.with_name(f"{path.name}.made.json")
    remove_leftovers_of(path, record)
    known = _read(record)
    there = digest_of(path) if path.exists() else None
    digest, before = known.get("digest"), known.get("before")
    if there is not None and known.get("source") == dict(source) and (there == digest or there != before):
        if there != digest:
            _LOG.warning("%s was changed since it was made; it is kept as it is", path)
        return False
    if there is not None and there not in (digest, before):
        raise InputError(f"{path} is not as this program made it; it is not replaced: {ADVICE}")
    folder = temporary_beside(path)
    try:
        folder.mkdir(parents=True)
        unfinished = folder / path.name
        make(unfinished)
        # Whenever a process dies from here on, the record knows what is there.
        content = {"digest": digest_of(unfinished), "before": there, "source": dict(source)}
        write_text(record, json.dumps(content, indent=1) + "\n")
        if path.is_dir():
            os.replace(path, folder / "before")  # at once: a folder half removed would be taken for a changed one
        os.replace(unfinished, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return True


def _read(record: Path) -> dict[str, Any]:
    try:
        known = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def digest_of(path: Path) -> str:
    """SHA-256 of a file, or of the names and the content of all files in a folder."""
    if path.is_file():
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    files = sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
    text = "".join(f"{digest_of(path / name)} {name}\n" for name in files)
    return hashlib.sha256(text.encode()).hexdigest()
