"""What groups of settings have in common: comparing them, checking them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def differences(old: Mapping[str, Any], new: Mapping[str, Any], unset: Any = None) -> dict[str, tuple[Any, Any]]:
    """The old and the new value of each setting that differs, by its full name (``group.name``), in their order.

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
