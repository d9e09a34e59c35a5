"""What was found out once on this machine and may be forgotten: small JSON files in the user's cache folder."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from .files import write_atomically

CACHE = "MAGICPOINT_CACHE"
"""The variable that names another folder; where it is set to nothing, nothing is kept."""


def cache_folder() -> Path | None:
    """Where such files are; None where none are kept."""
    if CACHE in os.environ:
        return Path(os.environ[CACHE]) if os.environ[CACHE] else None
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA", "~/AppData/Local")
    else:
        base = "~/Library/Caches" if sys.platform == "darwin" else os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    with contextlib.suppress(RuntimeError):  # there is no home
        return Path(base).expanduser() / "magicpoint"
    return None


def recall(name: str) -> dict[str, Any]:
    """What was kept under a name; nothing where there is no such file, or a damaged one."""
    folder = cache_folder()
    if folder is None:
        return {}
    try:
        values = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def keep(name: str, values: dict[str, Any]) -> None:
    """Keeps values for `recall`; where they cannot be written, they are found out anew another time."""
    folder = cache_folder()
    if folder is None:
        return
    text = json.dumps(values, separators=(",", ":"))
    with contextlib.suppress(OSError):
        write_atomically(folder / f"{name}.json", lambda path: path.write_text(text, encoding="utf-8"))
