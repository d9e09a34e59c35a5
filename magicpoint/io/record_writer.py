"""The writer of a file of records: HDF5 for whoever reads it, and the index by which this project does."""

from __future__ import annotations

import contextlib
import io
import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np
from h5py import h5d, h5p, h5s, h5t
from numpy.typing import NDArray

from .record_index import TYPES, Entry, Field, Index, index_bytes

_VERSIONS = ("v110", "v110")
"""Of HDF5 1.10, of 2016: the first whose structure has checksums throughout. h5py can read it since 2.7."""


class _Disk(io.RawIOBase):
    """A new file as HDF5 writes it.

    Where a write fails HDF5 leaves its file open and crashes at the end of the process. So it does not learn of it: the
    first error is kept for `check`.
    """

    def __init__(self, path: Path) -> None:
        self._file = open(path, "w+b", buffering=0)  # noqa: SIM115
        self._error: OSError | None = None

    def check(self) -> None:
        if self._error is not None:
            raise self._error

    def write(self, data: Any) -> int:
        left = memoryview(data).cast("B")
        length = len(left)
        while len(left) and self._error is None:
            try:
                left = left[self._file.write(left) :]
            except OSError as error:
                self._error = error
        if self._error is not None:
            self._file.seek(len(left), os.SEEK_CUR)
        return length

    def readinto(self, buffer: Any) -> int:
        """Zeros where nothing is: HDF5 may ask for what it could not write."""
        target = memoryview(buffer).cast("B")
        count = self._file.readinto(target) or 0
        target[count:] = bytes(len(target) - count)
        return len(target)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def truncate(self, size: int | None = None) -> int:
        if self._error is None:
            try:
                return self._file.truncate(size)
            except OSError as error:
                self._error = error
        return size or 0

    def flush(self) -> None:
        """Nothing is held back."""

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()
        super().close()


class RecordWriter:
    """Writes a file of records, one after the other.

    Args:
        path: The file, which is made.
        format: Name of the layout.
        provenance: Where the records come from.
        skipped: Why which images have no record, by key.
        compressed: Names of the fields that are compressed.
        attributes: Attributes of fields, by the field's name.
        size: What the two whole numbers of each record are called.

    Raises:
        OSError: The file cannot be written, here or in a method.
    """

    def __init__(
        self,
        path: Path,
        format: str,
        provenance: Mapping[str, str],
        skipped: Mapping[str, str],
        compressed: frozenset[str] = frozenset(),
        attributes: Mapping[str, Mapping[str, float]] | None = None,
        size: str = "image_size",
    ) -> None:
        self._format, self._provenance, self._skipped = format, dict(provenance), dict(skipped)
        self._compressed, self._attributes, self._size = compressed, attributes or {}, size
        self._records: dict[str, list[Any]] = {}
        self._disk = _Disk(path)
        self._file = h5py.File(self._disk, "w", libver=_VERSIONS)

    def __enter__(self) -> RecordWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.closing(self._disk):
            if kind is not None:
                with contextlib.suppress(OSError, RuntimeError):  # the first error is the one to tell
                    self._file.close()
                return
            texts = {**self._provenance, "format": self._format, "skipped": json.dumps(self._skipped)}
            self._file.attrs.update({name: value.encode("utf-8", "replace").decode() for name, value in texts.items()})
            self._file.close()
            self._write_index()

    def add(
        self, key: str, arrays: Mapping[str, NDArray[Any]], image_size: tuple[int, int], digest: str | None
    ) -> None:
        """Writes a record; its key is one that `check_key` gave, and no other record has it or lies in it."""
        group = self._file.create_group(key)
        group.attrs.create(self._size, np.array(image_size, np.int64))
        if digest is not None:
            group.attrs["image_sha256"] = digest
        fields, checksum = {}, 0
        for name, array in arrays.items():
            value = np.ascontiguousarray(array)
            if value.dtype.str not in TYPES:
                raise TypeError(f"{name} of {key} is {value.dtype}")
            write = self._write_compressed if name in self._compressed else _write_plain
            fields[name], stored = write(group, name, value)
            checksum = zlib.crc32(stored, checksum)
            for attribute, number in self._attributes.get(name, {}).items():
                group[name].attrs[attribute] = number
        self._records[key] = Entry(image_size, digest, checksum, fields).plain()
        self._disk.check()

    def _write_compressed(self, group: Any, name: str, value: NDArray[Any]) -> tuple[Field, Any]:
        """As one chunk, of which HDF5's filter is zlib's stream."""
        stored = zlib.compress(value.tobytes())
        properties = h5p.create(h5p.DATASET_CREATE)
        properties.set_chunk(value.shape)
        properties.set_deflate(6)
        dataset = _create(group, name, value, properties)
        dataset.write_direct_chunk((0,) * value.ndim, stored)
        return Field(value.dtype.str, value.shape, dataset.get_chunk_info(0).byte_offset, len(stored)), stored

    def _write_index(self) -> None:
        self._disk.check()
        self._disk.seek(0, os.SEEK_END)
        self._disk.write(index_bytes(Index(self._format, self._provenance, self._skipped, self._records)))
        self._disk.check()


def _write_plain(group: Any, name: str, value: NDArray[Any]) -> tuple[Field, Any]:
    dataset = _create(group, name, value, None)
    if value.size:
        dataset.write(h5s.ALL, h5s.ALL, value)
    return Field(value.dtype.str, value.shape, dataset.get_offset() or 0, value.nbytes), value


def _create(group: Any, name: str, value: NDArray[Any], properties: Any) -> Any:
    # By the functions of HDF5 themselves: h5py's own take four times as long, and there are three fields an image.
    properties = properties or h5p.create(h5p.DATASET_CREATE)
    properties.set_obj_track_times(False)  # the same records are the same bytes, whenever they are written
    return h5d.create(group.id, name.encode(), h5t.py_create(value.dtype), h5s.create_simple(value.shape), properties)
