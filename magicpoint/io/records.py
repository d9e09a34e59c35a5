"""HDF5 files with a record for each image, written in full or not at all: what features and labels share."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

import h5py

from ..core.errors import InputError
from ..core.files import AnyPath, write_atomically

Record = TypeVar("Record")


@dataclasses.dataclass(frozen=True)
class Layout(Generic[Record]):
    """How the record of an image is a group of a file.

    Args:
        format: Name of the layout; a reader refuses any other.
        name: What such a file is called in messages.
        write: Fills an empty group.
        read: Reads a group onto the CPU.
        dataset: Name of a dataset that every group of a record has; without it a group is none.
        attribute: Name of an attribute, likewise.
    """

    format: str
    name: str
    write: Callable[[Any, Record], None]
    read: Callable[[Any], Record]
    dataset: str = "keypoints"
    attribute: str = "image_size"


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
        with h5py.File(temporary, "w") as file:
            file.attrs.update({"format": layout.format, "skipped": "{}", **(provenance or {})})
            for key, record in zip(keys, records.values(), strict=True):
                layout.write(file.create_group(key), record)
                if key in known:
                    file[key].attrs["image_sha256"] = known[key]

    write_atomically(path, write)
    return Path(path)


def folders_of(key: str) -> list[str]:
    """The folders in which a key lies, the outermost first."""
    parts = key.split("/")
    return ["/".join(parts[:length]) for length in range(1, len(parts))]


class RecordFile(Mapping[str, Record]):
    """The records of a file by key, each read, onto the CPU, when it is asked for.

    The file is open only while it is read, so that processes can share this and nothing has to be closed. `provenance`
    says where the records come from, `skipped` why which images have none.
    """

    def __init__(self, path: str | os.PathLike[str], layout: Layout[Record]) -> None:
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"no {layout.name} {path}")
        self.path, self._layout = path, layout
        try:
            with h5py.File(path, "r") as file:
                attributes = {name: str(value) for name, value in file.attrs.items()}
                if attributes.pop("format", None) != layout.format:
                    raise InputError(f"it is not of format {layout.format}")
                self._digests = _read_digests(file, layout)
            self.skipped: dict[str, str] = json.loads(attributes.pop("skipped"))
        except (OSError, RuntimeError, KeyError, ValueError) as error:
            raise InputError(f"{path} is damaged or no {layout.name}: {error}") from error
        self.provenance = attributes

    def __len__(self) -> int:
        return len(self._digests)

    def __iter__(self) -> Iterator[str]:
        return iter(self._digests)

    def __contains__(self, key: object) -> bool:
        return key in self._digests

    def __getitem__(self, key: str) -> Record:
        if key not in self._digests:
            raise KeyError(key)
        try:
            with h5py.File(self.path, "r") as file:
                return self._layout.read(file[key])
        except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
            raise InputError(f"{self.path}: {key} is damaged: {error}") from error

    def digest(self, key: str) -> str | None:
        """The SHA-256 of the image's file, if it was recorded."""
        return self._digests[key]

    def keypoint_counts(self) -> dict[str, int]:
        """How many keypoints each image has: read from the sizes of the datasets, not from what they hold.

        Raises:
            InputError: The file is damaged; it is named.
        """
        try:
            with h5py.File(self.path, "r") as file:
                return {key: file[key]["keypoints"].shape[0] for key in self}
        except (OSError, RuntimeError, KeyError, TypeError, IndexError) as error:
            raise InputError(f"{self.path} is damaged: {error}") from error


def _read_digests(file: Any, layout: Layout[Any]) -> dict[str, str | None]:
    """The keys of the images, each with the SHA-256 of its file where that was recorded."""
    # This visits only what the file holds itself: no links, which could lead to other files.
    names: list[str] = []
    file.visit(names.append)
    digests: dict[str, str | None] = {}
    end = f"/{layout.dataset}"
    for key in (name.removesuffix(end) for name in names if name.endswith(end)):
        attributes = file[key].attrs
        if layout.attribute not in attributes:
            continue
        if check_key(key) != key:
            raise InputError(f"unsafe image key {key!r}")
        digests[key] = attributes.get("image_sha256")
    return digests
