"""What groups of settings have in common: comparing them, checking them.

The checks stand in the `__post_init__` of a frozen dataclass and name the setting in what they raise; a name with dots,
`shapes.size_hw`, is that of a setting in a group.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import Any

from .errors import InputError

LARGEST_SEED = 2**64 - 1
"""The largest that torch takes."""

_INTERVAL = re.compile(r"([\[(])(\S+), (\S+)([\])])")


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
            raise TypeError(f"{name} must be a number, got {value!r}")
        above = value > least or (opening == "[" and value == least)
        below = value < most or (closing == "]" and value == most)
        if math.isnan(value) or not (above and below):
            raise InputError(f"{name} must be in {interval}, got {value}")


def check_whole(settings: object, least: int, *names: str, most: int | None = None) -> None:
    """Refuses what is no whole number, below `least` or, if given, above `most`.

    Raises:
        TypeError: One is no whole number.
        InputError: One is too small or too large.
    """
    for name in names:
        value = attrgetter(name)(settings)
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"{name} must be a whole number, got {value!r}")
        if value < least:
            raise InputError(f"{name} must be at least {least}, got {value}")
        if most is not None and value > most:
            raise InputError(f"{name} must be at most {most}, got {value}")


def check_choice(settings: object, name: str, choices: Iterable[str]) -> None:
    """Refuses what is none of the choices, with a `ValueError` that lists them."""
    value, choices = attrgetter(name)(settings), list(choices)
    if value not in choices:
        listed = " or ".join(filter(None, (", ".join(choices[:-1]), choices[-1])))
        raise InputError(f"{name} must be {listed}, got {value!r}")


def check_size_hw(settings: object, multiple: int, name: str) -> None:
    """Refuses what is no height and width, both positive multiples of a number of pixels.

    Raises:
        TypeError: It is no pair of whole numbers.
        InputError: One of them is not such a multiple.
    """
    value = attrgetter(name)(settings)
    sides = list(value) if isinstance(value, (tuple, list)) else []
    if len(sides) != 2 or any(isinstance(side, bool) or not isinstance(side, int) for side in sides):
        raise TypeError(f"{name} must be a height and a width in pixels, got {value!r}")
    if any(side < multiple or side % multiple for side in sides):
        raise InputError(f"{name} must be positive multiples of {multiple}, got {sides[0]}x{sides[1]}")


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
