"""Files of records without an index: those of earlier versions, and what other programs write in their layout.

HDF5 reads these, which checks no data. What such a file only refers to, other files above all, is not read.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterable
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ..core.errors import InputError
from .record_index import MOST_INFLATED, TYPES, checked_texts

READ_ERRORS = (OSError, RuntimeError, KeyError, TypeError, ValueError, IndexError, AttributeError, zlib.error)
"""What h5py and zlib raise where a file is damaged."""

_FILTERS = frozenset({"gzip", "shuffle", "fletcher32"})
_FILTER_NAMES = {1: "gzip", 2: "shuffle", 3: "fletcher32"}  # by their registered numbers
_CHUNK_OVERHEAD = 2**16


def read_attributes(file: Any) -> dict[str, str]:
    """The attributes of a file, each a text."""
    return {name: str(value) for name, value in file.attrs.items() if isinstance(value, (str, bytes))}


def read_skipped(text: str) -> dict[str, str]:
    """Why which images have no record."""
    return checked_texts(json.loads(text))


def read_digests(file: Any) -> dict[str, str | None]:
    """The keys of the images, each with the SHA-256 of its file where that was recorded."""
    digests: dict[str, str | None] = {}

    def take(name: str, found: Any) -> None:
        if isinstance(found, h5py.Group) and "image_size" in found.attrs:
            digest = found.attrs.get("image_sha256")
            digests[name] = digest if isinstance(digest, str) else None

    # This visits only what the file holds itself: no links, which could lead to other files.
    file.visititems(take)
    return digests


def read_arrays(group: Any, names: Iterable[str]) -> dict[str, NDArray[Any]]:
    """The fields that a record has.

    Raises:
        InputError: One leads elsewhere, has numbers of another type, or more than are stored.
    """
    return {name: _checked(group, name)[()] for name in names if group.id.links.exists(name.encode())}


def read_image_size(group: Any) -> tuple[int, int]:
    """(W, H) in pixels."""
    attribute = group.attrs.get_id("image_size")
    if attribute.shape != (2,) or attribute.dtype.kind not in "iu":
        raise InputError(f"image_size is {attribute.dtype} {attribute.shape}")
    width, height = group.attrs["image_size"].tolist()
    return width, height


def count_keypoints(group: Any) -> int:
    """How many a record has: read from the size of the field, not from what it holds."""
    return int(_checked(group, "keypoints").shape[0])


def _checked(group: Any, name: str) -> Any:
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise InputError(f"{name} is a link to elsewhere, which is not followed")
    dataset = group[name]
    if not isinstance(dataset, h5py.Dataset):
        raise InputError(f"{name} is no dataset")
    if dataset.external or dataset.is_virtual:
        raise InputError(f"{name} is stored in another file, which is not read")
    if np.dtype(dataset.dtype).str not in TYPES or dataset.shape is None:
        raise InputError(f"{name} is {dataset.dtype} {dataset.shape}")
    properties = dataset.id.get_create_plist()
    filters = {_FILTER_NAMES.get(properties.get_filter(number)[0]) for number in range(properties.get_nfilters())}
    if not filters <= _FILTERS:
        raise InputError(f"{name} is compressed by something else than {', '.join(sorted(_FILTERS))}")
    declared, stored = math.prod(dataset.shape) * dataset.dtype.itemsize, dataset.id.get_storage_size()
    most = stored if dataset.chunks is None else MOST_INFLATED * stored + _CHUNK_OVERHEAD * bool(stored)
    if declared > most:
        raise InputError(f"{name} is {dataset.shape}, {declared} bytes, and {stored} are stored")
    return dataset
