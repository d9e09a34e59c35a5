"""What groups of settings have in common: comparing them, checking them.

The checks stand in the `__post_init__` of a frozen dataclass and name the setting in what they raise; a name with dots,
`shapes.size_hw`, is that of a setting in a group.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import os
import re
import types
from collections.abc import Iterable, Mapping
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from .errors import InputError

LARGEST_SEED = 2**64 - 1
"""The largest that torch takes."""

LARGEST_WHOLE = 2**31 - 1
"""The largest count or number of pixels that a setting may be, where nothing else is said of it."""

MOST_WORKERS = 1024
"""Processes that a setting may ask for."""

MOST_IMAGES_OF_A_STEP = 2**16
"""The largest batch that a setting may ask for."""

_LARGEST_FLOAT = 10**300

LARGEST_SIDE = 2**15
"""The longest side of an image that a setting may ask for, in pixels."""

_INTERVAL = re.compile(r"([\[(])(\S+), (\S+)([\])])")


def check_kinds(settings: object) -> None:
    """Refuses values of another kind than the fields of a dataclass are annotated with, and NaN.

    Args:
        settings: Its fields are numbers, truth values, strings, literals, paths, tuples of these, and other groups of
            settings; or None where that is said.

    Raises:
        TypeError: One is of another kind.
        InputError: One is none of the literals, or NaN.
    """
    kind: Any = type(settings)
    for name, hint in _kinds(kind).items():
        _check_kind(name, getattr(settings, name), hint)


@functools.cache
def _kinds(settings: Any) -> dict[str, Any]:
    hints = get_type_hints(settings)
    return {field.name: hints[field.name] for field in dataclasses.fields(settings)}


def _check_kind(name: str, value: Any, hint: Any) -> None:
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in inner:
            return
        (hint,) = (each for each in inner if each is not type(None))
        _check_kind(name, value, hint)
    elif origin is Literal:
        if value not in inner or isinstance(value, bool):
            raise InputError(f"{name} must be {_listed(map(str, inner))}, got {_shown(value)}")
    elif origin is tuple:
        if not isinstance(value, (tuple, list)):
            raise TypeError(f"{name} must be a tuple, got {_shown(value)}")
        kinds = inner[:1] * len(value) if inner[-1] is Ellipsis else inner
        if len(kinds) != len(value):
            raise TypeError(f"{name} must be {len(kinds)} values, got {_shown(value)}")
        for each, kind in zip(value, kinds, strict=True):
            _check_kind(name, each, kind)
    else:
        _check_single(name, value, hint)


def _check_single(name: str, value: Any, kind: Any) -> None:
    accepted, called = _SINGLE.get(kind, (kind, "a group of settings"))
    if issubclass(kind, tuple):
        accepted, called = (tuple, list), "a pair"
    if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
        raise TypeError(f"{name} must be {called}, got {_shown(value)}")
    if kind is float and not abs(value) <= _LARGEST_FLOAT and abs(value) != math.inf:
        raise InputError(f"{name} must be {called}, got {_shown(value)}")


_SINGLE: dict[Any, tuple[Any, str]] = {
    int: (int, "a whole number"),
    float: ((int, float), "a number"),
    bool: (bool, "true or false"),
    str: (str, "text"),
    Path: ((str, os.PathLike), "a path"),
}


def _shown(value: object) -> str:
    """A value in a message, in one line and not endless; a number of more digits than Python writes is just that."""
    try:
        return f"{value!r:.80}".replace("\n", " ")
    except ValueError:
        return "a number of thousands of digits"


def _listed(choices: Iterable[str]) -> str:
    *others, last = choices
    return " or ".join(filter(None, (", ".join(others), last)))


def check_range(settings: object, interval: str, *names: str) -> None:
    """Refuses numbers outside an interval, and NaN.

    Args:
        settings: Has them as attributes.
        interval: As it is written on paper: `"[0, 1]"`, `"(0, 4]"`, `"[1, inf)"`.
        names: Of the settings.

    Raises:
        TypeError: One is no number.
        InputError: One is NaN or outside.
    """
    written = _INTERVAL.fullmatch(interval)
    if written is None:
        raise ValueError(f"no interval: {interval!r}")
    opening, low, high, closing = written.groups()
    least, most = float(low), float(high)
    for name in names:
        value = attrgetter(name)(settings)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise TypeError(f"{name} must be a number, got {_shown(value)}")
        above = value > least or (opening == "[" and value == least)
        below = value < most or (closing == "]" and value == most)
        if math.isnan(value) or not (above and below):
            raise InputError(f"{name} must be in {interval}, got {_shown(value)}")


def check_whole(settings: object, least: int, *names: str, most: int = LARGEST_WHOLE) -> None:
    """Refuses what is no whole number, below `least` or above `most`.

    Raises:
        TypeError: One is no whole number.
        InputError: One is too small or too large.
    """
    for name in names:
        value = attrgetter(name)(settings)
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"{name} must be a whole number, got {_shown(value)}")
        if value < least:
            raise InputError(f"{name} must be at least {least}, got {_shown(value)}")
        if value > most:
            raise InputError(f"{name} must be at most {most}, got {_shown(value)}")


def check_choice(settings: object, name: str, choices: Iterable[str]) -> None:
    """Refuses what is none of the choices, with a `ValueError` that lists them."""
    value, choices = attrgetter(name)(settings), list(choices)
    if value not in choices:
        raise InputError(f"{name} must be {_listed(choices)}, got {_shown(value)}")


def check_size_hw(settings: object, multiple: int, name: str) -> None:
    """Refuses what is no height and width, both positive multiples of a number of pixels.

    Raises:
        TypeError: It is no pair of whole numbers.
        InputError: One of them is not such a multiple.
    """
    value = attrgetter(name)(settings)
    sides = list(value) if isinstance(value, (tuple, list)) else []
    if len(sides) != 2 or any(isinstance(side, bool) or not isinstance(side, int) for side in sides):
        raise TypeError(f"{name} must be a height and a width in pixels, got {_shown(value)}")
    if any(not multiple <= side <= LARGEST_SIDE or side % multiple for side in sides):
        raise InputError(
            f"{name} must be positive multiples of {multiple} up to {LARGEST_SIDE}, got "
            f"{_shown(sides[0])}x{_shown(sides[1])}"
        )


def differences(old: Mapping[str, Any], new: Mapping[str, Any], unset: Any = None) -> dict[str, tuple[Any, Any]]:
    """The old and the new value of each setting that differs, by its full name (`group.name`), in their order.

    Args:
        old: Values by name; a dict is a group of values.
        new: Likewise.
        unset: What stands for a value that one of the two lacks.
    """
    before, now = _single_values(old), _single_values(new)
    pairs = {name: (before.get(name, unset), now.get(name, unset)) for name in sorted(before.keys() | now.keys())}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _single_values(values: Mapping[str, Any], group: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict) and value:
            found |= _single_values(value, f"{group}{name}.")
        else:
            found[group + name] = value
    return found
