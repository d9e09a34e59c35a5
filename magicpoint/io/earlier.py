"""What becomes of the records that were there before: kept, replaced, dropped, and never without a word."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..core.errors import InputError
from ..core.outputs import ADVICE
from .records import RecordFile, folders_of


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of the images of a list, and of those that a file had before.

    Args:
        path: The file with their records.
        images: Number of images, or frames, with a record: the sum of the next three.
        kept: Number of those whose record was there before, in an earlier file or of a run that was stopped.
        new: Number of those that had none.
        changed: Number of those whose image had changed since the earlier file.
        dropped: Number of images of the earlier file that are not in this one.
        unread: Why which images could not be read whose record was kept, by key.
        skipped: Why which images could not be read that have no record, by key.
    """

    path: Path
    images: int
    kept: int
    new: int
    changed: int
    dropped: int
    unread: Mapping[str, str]
    skipped: Mapping[str, str]


def format_outcome(outcome: Any) -> str:
    """The numbers of an `Outcome`, or of what has its fields, in a few words."""
    counts = {name: getattr(outcome, name) for name in ("kept", "new", "changed", "dropped")}
    counts["skipped"] = len(outcome.skipped) if isinstance(outcome.skipped, Mapping) else outcome.skipped
    return ", ".join(f"{name} {count}" for name, count in counts.items())


class Earlier:
    """The earlier file of an output, and what is to become of its records.

    Args:
        file: None where there is none.
        images: What is asked for now, by key.
        append: Keep records of other images.
        prune: Drop them.

    Raises:
        InputError: There are such records and neither is asked for, or both are; or the key of an image is a folder of
            another's.
    """

    def __init__(
        self, file: RecordFile[Any] | None, images: Mapping[str, Path], append: bool = False, prune: bool = False
    ) -> None:
        if append and prune:
            raise InputError("append keeps records of images that are not asked for, prune drops them: choose one")
        self._file, self._append = file, append
        self.keys: frozenset[str] = frozenset(file or ())
        asked = {key: any(name in images for name in (key, *folders_of(key))) for key in file or ()}
        others = [key for key, is_asked in asked.items() if not is_asked]
        if others and not append and not prune:
            count = "an image" if len(others) == 1 else f"{len(others)} images"
            raise InputError(
                f"{self._path} holds {count} not asked for now, for instance {others[0]}: --append keeps what is not "
                f"asked for, --prune drops it; or {ADVICE}"
            )
        self.others = others if append else []
        for key in images if others else ():
            clash = next((folder for folder in folders_of(key) if folder in self.keys), None)
            if clash is not None:
                raise InputError(f"{self._path} holds {clash}, which the key {key} has for a folder: {ADVICE}")
        self.skipped = {} if not (append and file) else {k: why for k, why in file.skipped.items() if k not in images}

    @property
    def _path(self) -> Path | None:
        return None if self._file is None else self._file.path

    def has_changed(self, key: str, digest: str) -> bool:
        """Whether there is a record of another image under the key.

        Raises:
            InputError: There is, and nothing is to be replaced.
        """
        changed = self._file is not None and key in self._file and self._file.digest(key) != digest
        if changed and self._append:
            raise InputError(
                f"{self._path} holds another image under the key {key}, and --append replaces none. Keys are paths "
                "from the folder that is asked for: give one above both with --root, or write another file"
            )
        return changed
