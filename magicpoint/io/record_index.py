"""What closes a file of records: where each record lies in it, with its checksum.

A file of records is an HDF5 file for whoever reads it, with an index behind its end, where HDF5 does not look. This
project reads its own files by that index alone: HDF5 checks no data, and one changed byte of its structure can hang it
or end the process. So a record comes back as it was written, or its file is refused. Where another program writes into
such a file, HDF5 cuts off what lies behind the end, so that this is noticed.

The index is JSON; behind it come 8 bytes `MAGIC`, the index's length as uint64 and its CRC-32 as uint32, little-endian.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..core.errors import InputError

MAGIC = b"MGPTIDX2"
_FOOTER = struct.Struct("<8sQI")
TYPES = frozenset({"<f4", "<f2", "<f8", "|u1", "<i2", "<i4", "<i8"})
"""The types of numbers that a record may hold, as NumPy writes them."""
MOST_INFLATED = 1032
"""How many bytes zlib can make of one (its manual, "Technical details")."""


@dataclasses.dataclass(frozen=True)
class Field:
    """Where an array of a record lies.

    Args:
        type: One of `TYPES`.
        shape: Of the array.
        offset: Of its first byte in the file.
        stored: Number of its bytes there, compressed by zlib where they are not just those of the array.
    """

    type: str
    shape: tuple[int, ...]
    offset: int
    stored: int

    @property
    def bytes(self) -> int:
        """Number of bytes of the array."""
        return math.prod(self.shape) * int(self.type[2])


@dataclasses.dataclass(frozen=True)
class Entry:
    """The record of an image.

    Args:
        image_size: (W, H) of the image in pixels.
        digest: SHA-256 of the image file, where it is known.
        checksum: CRC-32 of the stored bytes of all its fields, in their order.
        fields: By name.
    """

    image_size: tuple[int, int]
    digest: str | None
    checksum: int
    fields: Mapping[str, Field]

    def plain(self) -> list[Any]:
        """As JSON has it; `of_plain` reads it."""
        fields = {name: [field.type, field.shape, field.offset, field.stored] for name, field in self.fields.items()}
        return [*self.image_size, self.digest, self.checksum, fields]

    @classmethod
    def of_plain(cls, values: list[Any]) -> Entry:
        """Of what the index of a file says.

        Raises:
            InputError: It contradicts itself.
        """
        width, height, digest, checksum, fields = values
        entry = cls(
            (width, height), digest, checksum, {name: Field(a, tuple(b), c, d) for name, (a, b, c, d) in fields.items()}
        )
        for name, field in entry.fields.items():
            numbers = (*field.shape, field.offset, field.stored)
            if field.type not in TYPES or any(type(number) is not int or number < 0 for number in numbers):
                raise InputError(f"{name} is of type {field.type}, shape {field.shape}, at {numbers[-2:]}")
            if field.stored != field.bytes and not 0 < field.bytes <= MOST_INFLATED * field.stored:
                raise InputError(f"{name} cannot have {field.bytes} bytes: {field.stored} are stored")
        return entry


@dataclasses.dataclass(frozen=True)
class Index:
    """What the end of a file says.

    Args:
        format: Name of the layout.
        provenance: Where the records come from.
        skipped: Why which images have no record, by key.
        records: For each key the plain form of its `Entry`, which is made when it is asked for.
    """

    format: str
    provenance: Mapping[str, str]
    skipped: Mapping[str, str]
    records: Mapping[str, list[Any]]


def index_bytes(index: Index) -> bytes:
    """What is written behind the HDF5 part of a file."""
    values = {field.name: getattr(index, field.name) for field in dataclasses.fields(index)}
    text = json.dumps(values, separators=(",", ":")).encode()
    return text + _FOOTER.pack(MAGIC, len(text), zlib.crc32(text))


def read_index(path: Path) -> Index | None:
    """The index of a file; None where there is none.

    Raises:
        OSError: The file cannot be read.
        InputError: It is damaged.
    """
    with open(path, "rb") as file:
        length = file.seek(0, os.SEEK_END)
        file.seek(max(0, length - _FOOTER.size))
        footer = file.read(_FOOTER.size)
        if len(footer) < _FOOTER.size or not footer.startswith(MAGIC):
            return None
        _, text_length, checksum = _FOOTER.unpack(footer)
        start = length - _FOOTER.size - text_length
        if start < 0:
            raise InputError("its index is damaged")
        file.seek(start)
        text = file.read(text_length)
        if zlib.crc32(text) != checksum:
            raise InputError("its index is damaged")
    return Index(**json.loads(text))


def checked_texts(values: Any) -> dict[str, str]:
    """Texts by name, as a file says them.

    Raises:
        InputError: They are something else.
    """
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        raise InputError(f"texts by name are expected, got {values!r:.80}")
    return values


def read_entry(file: BinaryIO, entry: Entry) -> dict[str, NDArray[Any]]:
    """The arrays of a record.

    Raises:
        InputError: They are not what was written.
    """
    stored, checksum = {}, 0
    length = file.seek(0, os.SEEK_END)
    for name, field in entry.fields.items():
        if field.offset + field.stored > length:
            raise InputError(f"{name} ends behind the end of the file")
        file.seek(field.offset)
        stored[name] = file.read(field.stored)
        checksum = zlib.crc32(stored[name], checksum)
    if checksum != entry.checksum:
        raise InputError("its checksum is another")
    return {name: _array(entry.fields[name], content) for name, content in stored.items()}


def _array(field: Field, content: bytes) -> NDArray[Any]:
    if len(content) != field.bytes:
        unpacker = zlib.decompressobj()
        content = unpacker.decompress(content, field.bytes)
        if len(content) != field.bytes or not unpacker.eof:
            raise InputError(f"not {field.bytes} bytes are compressed in it")
    # A copy: what frombuffer gives cannot be written to, of which torch warns.
    return np.frombuffer(content, field.type).reshape(field.shape).copy()
