"""Whether what was begun may be gone on with."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from .errors import InputError
from .settings import differences


def check_goes_on(
    begun: str,
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    advice: str,
    kind: str = "settings",
    changeable: Collection[str] = (),
    in_words: tuple[str, str] = ("", "now"),
) -> None:
    """Refuses to go on with other settings than something was begun with.

    Args:
        begun: What was begun, or is there, and how: "runs/a was begun".
        old: The settings with which that was, by name; a dict is a group of them.
        new: Those of now.
        advice: What to do about it.
        kind: What the settings are called.
        changeable: Names of those that may differ.
        in_words: What is said beside an old and beside a new value.

    Raises:
        InputError: Others differ; the message names each with its old and its new value.
    """
    changed = differences(old, new, unset="unset")
    before, after = (f"{words} " if words else "" for words in in_words)
    listed = ", ".join(
        f"{name} {before}{was}, {after}{now}" for name, (was, now) in changed.items() if name not in changeable
    )
    if listed:
        raise InputError(f"{begun} with other {kind} ({listed}): {advice}")
