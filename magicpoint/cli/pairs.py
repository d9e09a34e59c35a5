"""The options that say which images are matched."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import Namespace

from .options import UnusableArgument
from .parser import Parser

if TYPE_CHECKING:
    from ..io.pairs import Pair

NAMES = ("pairs", "exhaustive", "sequential")


def add_pairs(parser: Parser, of: str = "") -> None:
    """The options that `chosen_pairs` reads.

    Args:
        parser: Of the verb.
        of: What their help begins with.
    """
    parser.add_argument("--pairs", type=Path | None, default=None, help=f"{of}File with two names in each line.")
    parser.add_argument("--exhaustive", action="store_true", help=f"{of}Match each image with each other.")
    parser.add_argument(
        "--sequential",
        type=int | None,
        default=None,
        help=f"{of}Match each image with so many after it, in the order of their names; null: not in this way.",
    )


def chosen_pairs(arguments: Namespace, default: str | None = None) -> Callable[[Iterable[str]], list[Pair]]:
    """A function from the names of all images to the pairs that are asked for.

    Args:
        arguments: Of the verb.
        default: The option that holds where none is given; None needs one.

    Raises:
        UnusableArgument: None is given, or several are.
        InputError: `--sequential` is less than 1.
    """
    from ..core.settings import check_whole
    from ..io.pairs import exhaustive_pairs, read_pairs, sequential_pairs

    asked = [name for name in NAMES if arguments[name] not in (None, False)] or ([default] if default else [])
    if len(asked) != 1:
        raise UnusableArgument(
            f"one of --pairs FILE, --exhaustive and --sequential K is needed, got {' and '.join(asked) or 'none'}"
        )
    if asked == ["pairs"]:
        return lambda keys: read_pairs(arguments.pairs, keys)
    if asked == ["sequential"]:
        check_whole(arguments, 1, "sequential")
        return lambda keys: sequential_pairs(keys, arguments.sequential)
    return exhaustive_pairs
