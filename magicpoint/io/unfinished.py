"""What a file of records of images has so far, kept until all are there."""

from __future__ import annotations

import contextlib
import logging
import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Generic

from ..core.errors import InputError
from ..core.files import AnyPath, remove_leftovers_of, target_of, write_atomically
from ..core.going_on import check_goes_on
from ..core.outputs import ADVICE
from ..core.types import Features
from .features import FEATURES
from .records import Layout, Record, RecordFile, decoded_provenance, write_records

_PART_LENGTH = 32
_PART_SECONDS = 60.0
_PART_NAME = re.compile(r"[0-9]{6,}\.h5")

_LOG = logging.getLogger(__name__)


class UnfinishedRecords(Generic[Record]):
    """What a file of records will hold, kept in small files beside it until it is complete.

    HDF5 files that are open when their process is killed are lost. So the records are written to files of their own,
    a few images in each, in the folder `<name>.partial`, and joined at the end.

    Args:
        path: The file. One that is there is replaced in the end, by records of the same provenance only; it stays as
            `earlier` until then, and records of images that are still the same are taken from it.
        layout: How a record is written.
        provenance: Where the records come from.

    Raises:
        IsADirectoryError: The path is a folder.
        OSError: Nothing can be written there.
        InputError: Records of another provenance are there or have been begun, or the path is another kind of file; the
            message names the file and what differs.
    """

    def __init__(self, path: AnyPath, layout: Layout[Record], provenance: Mapping[str, str]) -> None:
        path = Path(path)
        if path.is_dir():
            raise IsADirectoryError(f"{path} is a folder, not a {layout.name}")
        self._path, self._layout, self._provenance = path, layout, dict(provenance)
        target = target_of(path)
        self.folder = target.with_name(f"{target.name}.partial")
        self._parts: dict[str, RecordFile[Record]] = {}
        self._pending: dict[str, Record] = {}
        self._digests: dict[str, str] = {}
        self._saved = time.monotonic()
        self.earlier = self._open_earlier() if path.exists() else None
        if self.earlier is not None:
            self._parts.update(dict.fromkeys(self.earlier, self.earlier))
        self._check_writable()
        self._next_part = 0
        for part in self._own_parts():
            self._register(part)
            self._next_part = int(part.stem) + 1

    @property
    def path(self) -> Path:
        """The file that is made."""
        return self._path

    def _own_parts(self) -> list[Path]:
        if not self.folder.is_dir():
            return []
        return sorted(path for path in self.folder.iterdir() if _PART_NAME.fullmatch(path.name) and path.is_file())

    def _open_earlier(self) -> RecordFile[Record]:
        try:
            earlier = RecordFile(self._path, self._layout)
        except (FileNotFoundError, ValueError) as error:
            raise InputError(f"{error}; it is not replaced: {ADVICE}") from error
        self._check(earlier, f"{self._path} was made")
        return earlier

    def _check_writable(self) -> None:
        """Better refused now than when the work is done."""
        folder = self.folder if self.folder.exists() else self.folder.parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise OSError(f"cannot write {self._path}: {error}") from error

    def _register(self, path: Path) -> None:
        part = RecordFile(path, self._layout)
        self._check(part, f"{self.folder} was begun")
        self._parts.update(dict.fromkeys(part, part))

    def _check(self, records: RecordFile[Record], origin: str) -> None:
        old, new = decoded_provenance(records.provenance), decoded_provenance(self._provenance)
        check_goes_on(origin, old, new, ADVICE, "weights, settings or versions")

    def take(self, records: RecordFile[Record]) -> None:
        """Takes over the records of another file, which are of the same provenance."""
        self._parts.update(dict.fromkeys(records, records))

    def has(self, key: str, digest: str) -> bool:
        """Whether the record of an image was kept before, and the image is still the same."""
        part = self._parts.get(key)
        return part is not None and part.digest(key) == digest

    def known_of(self, key: str) -> list[str]:
        """The keys of the records of an image, or of the frames of a video, whatever the file is now."""
        if key in self._parts or key in self._pending:
            return [key]
        return [known for known in (*self._parts, *self._pending) if known.startswith(f"{key}/")]

    def get(self, key: str, digest: str) -> Record | None:
        """That record, where there is one."""
        return self._parts[key][key] if self.has(key, digest) else None

    def add(self, key: str, record: Record, digest: str) -> None:
        """Keeps the record of an image; a killed process loses the last few, or those of the last minute."""
        self._pending[key], self._digests[key] = record, digest
        if len(self._pending) >= _PART_LENGTH or time.monotonic() - self._saved >= _PART_SECONDS:
            self.save()

    def save(self) -> None:
        """Keeps what was added so far even if the process is killed."""
        if self._pending:
            path = self.folder / f"{self._next_part:06d}.h5"
            self._next_part += 1
            self._register(write_records(path, self._layout, self._pending, self._provenance, self._digests))
            self._pending, self._digests = {}, {}
        self._saved = time.monotonic()

    def finish(self, keys: Sequence[str], skipped: Mapping[str, str]) -> Path:
        """Writes the file, of these keys and no others, and removes the folder beside it; returns its path.

        An earlier file that is just this stays as it is.
        """
        self.save()

        def join(temporary: Path) -> None:
            with self._layout.open(temporary, self._provenance, skipped) as writer:
                for key in keys:
                    part = self._parts[key]
                    writer.add(key, part.arrays(key), part.image_size(key), part.digest(key))

        if not self._is_earlier(keys, skipped):
            write_atomically(self._path, join)
        self._remove_parts()
        return self._path

    def _remove_parts(self) -> None:
        """Of the folder beside the file what is our own, and the folder where nothing else is in it."""
        if not self.folder.is_dir():
            return
        parts = self._own_parts()
        remove_leftovers_of(*(self.folder / f"{number:06d}.h5" for number in range(self._next_part + 1)))
        for part in parts:
            part.unlink()
        try:
            self.folder.rmdir()
        except OSError:
            _LOG.warning("%s holds other files and stays", self.folder)

    def _is_earlier(self, keys: Sequence[str], skipped: Mapping[str, str]) -> bool:
        earlier = self.earlier
        if earlier is None or skipped != earlier.skipped or len(keys) != len(earlier):
            return False
        return all(self._parts[key] is earlier for key in keys)


def begun_with(path: AnyPath, layout: Layout[Any]) -> Mapping[str, str] | None:
    """The provenance of the records that a file has, or that were begun for it; None where there are none."""
    target = target_of(path)
    for records in (target, *sorted(target.with_name(f"{target.name}.partial").glob("[0-9]*.h5"))):
        with contextlib.suppress(OSError, InputError):  # `UnfinishedRecords` says what is wrong with it
            return RecordFile(records, layout).provenance
    return None


class UnfinishedFeatures(UnfinishedRecords[Features]):
    """`UnfinishedRecords` of features."""

    def __init__(self, path: AnyPath, provenance: Mapping[str, str]) -> None:
        super().__init__(path, FEATURES, provenance)
