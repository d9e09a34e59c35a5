"""The size of an array in settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    SizeHW = tuple[int, int]
else:

    class SizeHW(tuple):
        """Height and width in pixels, in a plain tuple.

        Nothing is ever of this class, and type checkers see tuple[int, int]. It lets whoever reads settings from text
        tell a size, which people write 240x320, from any other pair of numbers.
        """
