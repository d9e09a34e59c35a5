"""How sizes are written: HxW."""

from __future__ import annotations

import re

from jsonargparse.typing import register_type

from synthetic_shapes.sizes import SizeHW


def register_sizes() -> None:
    """Lets every parser read options of the type `SizeHW`, also those of dataclasses, and files of settings with it."""
    register_type(SizeHW, write_size, read_size, type_check=_is_read)


def read_size(written: object) -> tuple[int, int]:
    """(H, W) of at least one pixel each, from HxW or [H, W].

    Raises:
        ValueError: It is something else; the message has it.
    """
    sides: object = written
    if isinstance(written, str) and (found := re.fullmatch("([0-9]+)x([0-9]+)", written)):
        sides = [int(side) for side in found.groups()]
    if not isinstance(sides, list) or len(sides) != 2:
        raise ValueError(f"a size is HxW, such as 240x320, or [H, W], got {written!r}")
    height, width = sides
    if type(height) is not int or type(width) is not int or min(height, width) < 1:
        raise ValueError(f"height and width must be whole numbers of at least 1, got {written!r}")
    return height, width


def write_size(size: tuple[int, int]) -> str:
    """(H, W) as HxW."""
    return f"{size[0]}x{size[1]}"


def _is_read(size: object, kind: type) -> bool:
    return isinstance(size, tuple)
