"""Values as JSON has them."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from os import PathLike, fspath
from typing import Any

import numpy as np


def as_plain(value: Any) -> Any:
    """A value as dicts, lists, strings, numbers, booleans and None.

    The fields of a dataclass become a dict by their names, the keys of a mapping strings, sequences and arrays lists,
    paths strings, and nan and infinity, which JSON does not have, None.

    Raises:
        TypeError: There is something else in it.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: as_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): as_plain(item) for key, item in value.items()}
    if isinstance(value, (np.ndarray, np.generic)):
        return as_plain(value.tolist())
    if isinstance(value, PathLike):
        return fspath(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (str, int)):
        return value
    if isinstance(value, Sequence):
        return [as_plain(item) for item in value]
    raise TypeError(f"a {type(value).__name__} has no plain form: {value!r}")


def json_has(content: bytes, *names: str) -> bool:
    """Whether a file's content is a JSON object with values of these names."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and value.keys() >= set(names)


def json_text(value: Any) -> str:
    """The plain form of a value as JSON, with the line break at its end."""
    return json.dumps(as_plain(value), indent=1, allow_nan=False) + "\n"
