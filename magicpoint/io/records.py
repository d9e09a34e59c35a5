"""HDF5 files with a record for each image, written in full or not at all: what features and labels share."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

import h5py
from numpy.typing import NDArray

from ..core.errors import InputError
from ..core.files import AnyPath, write_atomically
from ..core.types import Features
from .record_index import Entry, Index, checked_texts, read_entry, read_index
from .record_plain import (
    READ_ERRORS,
    count_keypoints,
    read_arrays,
    read_attributes,
    read_digests,
    read_image_size,
    read_skipped,
)
from .record_probe import check_readable
from .record_writer import RecordWriter

Record = TypeVar("Record")


@dataclasses.dataclass(frozen=True)
class Layout(Generic[Record]):
    """How the record of an image is a group of a file.

    Args:
        format: Name of the layout; it ends in the number of its version.
        earlier: Names of versions that are read, too. They have no checksums.
        name: What such a file is called in messages.
        fields: Names of all arrays that a record may have; those of version 1 have `keypoints`, (N, 2).
        to_arrays: Gives those of a record.
        of_arrays: Makes a record, on the CPU, of its arrays and the (W, H) of its image; what it raises where they do
            not fit is a `KeyError`, a `TypeError` or a `ValueError`.
        compressed: Names of fields that are stored by zlib, as HDF5's filter gzip has it.
        attributes: Numbers beside fields, by the field's name, for other programs.
        size: What the two whole numbers that every record has are called, in the record and in the file; of images it
            is their size.
    """

    format: str
    earlier: tuple[str, ...]
    name: str
    fields: tuple[str, ...]
    to_arrays: Callable[[Record], dict[str, NDArray[Any]]]
    of_arrays: Callable[[Mapping[str, NDArray[Any]], tuple[int, int]], Record]
    compressed: frozenset[str] = frozenset()
    attributes: Mapping[str, Mapping[str, float]] = dataclasses.field(default_factory=dict)
    size: str = "image_size"

    def open(self, path: Path, provenance: Mapping[str, str], skipped: Mapping[str, str]) -> RecordWriter:
        """A writer of such a file."""
        return RecordWriter(path, self.format, provenance, skipped, self.compressed, self.attributes, self.size)


def check_key(key: str) -> str:
    """Return the key of an image with forward slashes.

    Raises:
        InputError: It is empty or absolute, has an empty part, "." or "..", so that as a path it would leave the folder
            that it is relative to, or is no text that UTF-8 can hold.
    """
    normal = key.replace("\\", "/")
    leaves = re.match("[A-Za-z]:", normal) or any(part in ("", ".", "..") for part in normal.split("/"))
    if leaves or "\0" in normal or normal != normal.encode("utf-8", "ignore").decode():
        raise InputError(f"unsafe image key {key!r}: it must be a relative path without '.' and '..'")
    return normal


def write_records(
    path: AnyPath,
    layout: Layout[Record],
    records: Mapping[str, Record],
    provenance: Mapping[str, str] | None = None,
    digests: Mapping[str, str] | None = None,
) -> Path:
    """Write the records of images under their keys.

    Args:
        path: The file; one that is there is replaced when the new one is complete.
        layout: How a record is written.
        records: By key.
        provenance: Where they come from; attributes of the file.
        digests: SHA-256 of the image files, by key.

    Raises:
        OSError: The file cannot be written.
        InputError: A key is unsafe (see `check_key`), two are the same, or one is a folder of another.
    """
    keys = [check_key(key) for key in records]
    groups = set(keys)
    for key in keys:
        clash = next((folder for folder in folders_of(key) if folder in groups), None)
        if clash is not None or len(groups) < len(keys):
            raise InputError(f"image keys must differ and none be a folder of another, got {clash or keys!r}, {key!r}")
    known = {check_key(key): digest for key, digest in (digests or {}).items()}

    def write(temporary: Path) -> None:
        with layout.open(temporary, provenance or {}, {}) as writer:
            for key, record in zip(keys, records.values(), strict=True):
                writer.add(key, layout.to_arrays(record), getattr(record, layout.size), known.get(key))

    write_atomically(path, write)
    return Path(path)


def folders_of(key: str) -> list[str]:
    """The folders in which a key lies, the outermost first."""
    parts = key.split("/")
    return ["/".join(parts[:length]) for length in range(1, len(parts))]


def decoded_provenance(provenance: Mapping[str, str]) -> dict[str, Any]:
    """With the groups of values, which are stored as JSON, as dicts."""
    decoded: dict[str, Any] = dict(provenance)
    for name, value in provenance.items():
        if isinstance(value, str) and value.startswith("{"):
            with contextlib.suppress(json.JSONDecodeError):
                decoded[name] = json.loads(value)
    return decoded


class RecordFile(Mapping[str, Record]):
    """The records of a file by key, each read, onto the CPU, when it is asked for.

    The file is open only while it is read, so that processes can share this and nothing has to be closed. `provenance`
    says where the records come from, `skipped` why which images have none.

    A record of a file of this version comes back as it was written or not at all, see `io.record_index`. Earlier
    versions have no checksums.
    """

    def __init__(self, path: str | os.PathLike[str], layout: Layout[Record]) -> None:
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"no {layout.name} {path}")
        self.path, self._layout = path, layout
        self._state = _state(path)
        self._digests: dict[str, str | None] = {}
        try:
            self._index = read_index(path)
            if self._index is None:
                self._open_plain()
            else:
                self._open_indexed(self._index)
        except (*READ_ERRORS, RecursionError) as error:
            raise InputError(f"{path} is damaged or no {layout.name}: {error}") from error

    def _open_indexed(self, index: Index) -> None:
        if index.format != self._layout.format:
            raise InputError(f"it is of format {index.format}, not {self._layout.format}")
        self.provenance, self.skipped = checked_texts(index.provenance), checked_texts(index.skipped)
        self._digests = {_checked_key(key): values[2] for key, values in index.records.items()}

    def _open_plain(self) -> None:
        check_readable(self.path, self._layout.fields)
        with h5py.File(self.path, "r") as file:
            attributes = read_attributes(file)
            format = attributes.pop("format", None)
            if format == self._layout.format:
                raise InputError("its end is missing, or it was changed by another program")
            if format not in self._layout.earlier:
                raise InputError(f"it is not of format {self._layout.format}")
            self._digests = {_checked_key(key): digest for key, digest in read_digests(file).items()}
        self.skipped = read_skipped(attributes.pop("skipped"))
        self.provenance = attributes

    def __len__(self) -> int:
        return len(self._digests)

    def __iter__(self) -> Iterator[str]:
        return iter(self._digests)

    def __contains__(self, key: object) -> bool:
        return key in self._digests

    def __getitem__(self, key: str) -> Record:
        try:
            record = self._layout.of_arrays(self.arrays(key), self.image_size(key))
        except InputError:
            raise
        except (KeyError, TypeError, ValueError) as error:
            if key not in self._digests:
                raise KeyError(key) from error
            raise InputError(f"{self.path}: {key} is damaged: {error}") from error
        if isinstance(record, Features):
            return dataclasses.replace(record, provenance=self.provenance)
        return record

    def arrays(self, key: str) -> dict[str, NDArray[Any]]:
        """The arrays of a record as they are stored.

        Raises:
            KeyError: There is no such record.
            InputError: It is damaged; the message names file and key.
        """
        if key not in self._digests:
            raise KeyError(key)
        try:
            if self._index is not None:
                with open(self.path, "rb") as file:
                    return read_entry(file, Entry.of_plain(self._index.records[key]))
            with h5py.File(self.path, "r") as file:
                return read_arrays(file[key], self._layout.fields)
        except READ_ERRORS as error:
            if _state(self.path) != self._state:
                raise InputError(f"{self.path} was replaced while it was read: read it again") from error
            raise InputError(f"{self.path}: {key} is damaged: {error}") from error

    def image_size(self, key: str) -> tuple[int, int]:
        """(W, H) of the image in pixels.

        Raises:
            KeyError: There is no such record.
            InputError: The file is damaged; it is named.
        """
        if key not in self._digests:
            raise KeyError(key)
        if self._index is not None:
            width, height = self._index.records[key][:2]
            return width, height
        try:
            with h5py.File(self.path, "r") as file:
                return read_image_size(file[key])
        except READ_ERRORS as error:
            raise InputError(f"{self.path}: {key} is damaged: {error}") from error

    def digest(self, key: str) -> str | None:
        """The SHA-256 of the image's file, if it was recorded."""
        return self._digests[key]

    def checksum(self, key: str) -> int | None:
        """The CRC-32 of what is stored of a record, which no change leaves as it is; None where the file has none."""
        if key not in self._digests:
            raise KeyError(key)
        return None if self._index is None else int(self._index.records[key][3])

    def keypoint_counts(self) -> dict[str, int]:
        """How many keypoints each image has: read from the sizes of the arrays, not from what they hold.

        Raises:
            InputError: The file is damaged; it is named.
        """
        try:
            if self._index is not None:
                return {key: int(values[4]["keypoints"][1][0]) for key, values in self._index.records.items()}
            with h5py.File(self.path, "r") as file:
                return {key: count_keypoints(file[key]) for key in self}
        except READ_ERRORS as error:
            raise InputError(f"{self.path} is damaged: {error}") from error


def _checked_key(key: str) -> str:
    if check_key(key) != key:
        raise InputError(f"unsafe image key {key!r}")
    return key


def _state(path: Path) -> tuple[int, int, int] | None:
    """What differs between two versions of a file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
