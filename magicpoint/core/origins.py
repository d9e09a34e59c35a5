"""Whether features can be compared: those of two networks cannot, and those of two decodings seldom are meant to be."""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from .errors import InputError
from .settings import differences
from .switches import HEATMAP_SWITCHES
from .types import Features

_LOG = logging.getLogger(__name__)


def check_one_origin(features: Iterable[Features]) -> None:
    """Refuses features whose descriptors do not compare; says where they were chosen by other settings.

    Of features whose `provenance` is None nothing is known, and nothing refused.

    Raises:
        InputError: Two are of different networks; the message names both.
    """
    first: Mapping[str, str] | None = None
    for other in (one.provenance for one in features if one.provenance is not None):
        if first is None:
            first = other
        elif other is not first:
            _check(first, other)


def _check(first: Mapping[str, str], second: Mapping[str, str]) -> None:
    hashes = [origin.get("weights_hash") for origin in (first, second)]
    if None not in hashes and hashes[0] != hashes[1]:
        names = [f"{origin.get('weights', 'unnamed')} ({origin['weights_hash'][:12]})" for origin in (first, second)]
        raise InputError(f"features of two networks do not compare: {names[0]} and {names[1]}")
    settings = [_choice(origin) for origin in (first, second)]
    if "decode" in first and "decode" in second and settings[0] != settings[1]:
        _warn_of_settings(settings[0], settings[1])


def _choice(origin: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """What decided which keypoints were chosen."""
    return tuple((name, origin[name]) for name in ("decode", *HEATMAP_SWITCHES) if name in origin)


@functools.lru_cache(64)  # once is enough
def _warn_of_settings(first: tuple[tuple[str, str], ...], second: tuple[tuple[str, str], ...]) -> None:
    one, other = ({**_settings(dict(each)["decode"]), **dict(each[1:])} for each in (first, second))
    changed = differences(one, other, unset="unset")
    listed = ", ".join(f"{name} {was} and {now}" for name, (was, now) in changed.items())
    if listed:
        _LOG.warning("features that were chosen by different settings are compared: %s", listed)


def _settings(text: str) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except ValueError:
        return {"decode": text}
    return values if isinstance(values, dict) else {"decode": text}
