"""Files of settings, read with doubt before the library of the options sees them."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import yaml

from ..core.errors import InputError

LARGEST_FILE = 2**20
"""Bytes; the settings of a run take 3 KB."""

MOST_VALUES = 100_000
"""With all aliases written out, of which a few short ones can stand for more than a memory holds."""


DEEPEST = 20
"""Groups in groups; the settings have four."""


def read_settings_file(path: Path) -> dict[str, Any]:
    """The settings in a YAML file by their names.

    Raises:
        OSError: It cannot be read.
        InputError: It is no YAML, holds something else than one mapping, says a name twice, or is too large; it is
            named.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path} is no regular file")
    if status.st_size > LARGEST_FILE:
        raise InputError(f"{path} has {status.st_size} bytes, a file of settings at most {LARGEST_FILE}")
    try:
        text = path.read_text(encoding="utf-8")
        _check_depth(text)
        _count(yaml.compose(text, Loader=yaml.SafeLoader), {})
        found = yaml.safe_load(text)
    except (ValueError, yaml.YAMLError) as error:
        raise InputError(f"{path} is no file of settings: {' '.join(str(error).split()):.200}") from error
    if found is None:
        return {}
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise InputError(f"{path} is no file of settings: it must hold values by name")
    return found


def _check_depth(text: str) -> None:
    """Refuses deep nesting at its beginning: the time that YAML takes grows with its square."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise InputError(f"it is nested more than {DEEPEST} deep")


def _count(node: Any, counted: dict[int, int]) -> int:
    """How many values a node stands for; refuses too many, and a name that is said twice."""
    if id(node) in counted:
        if not counted[id(node)]:
            raise InputError("an alias stands for itself")
        return counted[id(node)]
    counted[id(node)] = 0  # as long as its values are counted
    children: list[Any] = []
    if isinstance(node, yaml.MappingNode):
        names = [name.value for name, _ in node.value if isinstance(name, yaml.ScalarNode)]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise InputError(f"{twice} is said twice")
        children = [child for pair in node.value for child in pair]
    elif isinstance(node, yaml.SequenceNode):
        children = node.value
    count = 1 + sum(_count(child, counted) for child in children)
    if count > MOST_VALUES:
        raise InputError(f"it has more than {MOST_VALUES} values")
    counted[id(node)] = count
    return count
