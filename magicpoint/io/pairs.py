"""Which images are matched: pairs from a file, each with each, or each with those after it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..core.errors import InputError
from ..core.files import AnyPath, check_regular, write_text

_LONGEST_LINE = 10_000  # two of the longest paths; the time grows with the square

Pair = tuple[str, str]
"""The keys of image 0 and image 1."""


def read_pairs(path: AnyPath, keys: Iterable[str]) -> list[Pair]:
    """Pairs of a text file with two names in each line, as hloc and COLMAP have it.

    Names stand apart by a tab or by spaces, which they can also have within; empty lines and those that begin with #
    are passed over. Of a pair that is there twice, in whichever order, the first counts.

    Args:
        path: The file, UTF-8.
        keys: The names that there are.

    Raises:
        FileNotFoundError: There is no such file.
        InputError: A line does not hold two of the names, or the same one twice; there is no pair; or the file is no
            text. The message names the file and the line.
    """
    known, path = set(keys), Path(path)
    check_regular(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no text in UTF-8: {error}") from error
    pairs: dict[frozenset[str], Pair] = {}
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.startswith("#"):
            pair = _read_pair(line, known, f"{path}, line {number}")
            pairs.setdefault(frozenset(pair), pair)
    if not pairs:
        raise InputError(f"{path} has no pairs")
    return list(pairs.values())


def _read_pair(line: str, known: set[str], place: str) -> Pair:
    if len(line) > _LONGEST_LINE:
        raise InputError(f"{place}: {len(line)} characters are more than two names, got {line[:40]!r} ...")
    words = re.split(r"(\s+)", line.strip())
    splits = [("".join(words[:at]), "".join(words[at + 1 :])) for at in range(1, len(words), 2)]
    found = [pair for pair in splits if known.issuperset(pair)]
    if not found:
        missing = [word for word in words[::2] if word not in known]
        what = f"no image {missing[0]!r}" if len(words) == 3 and missing else f"no two names of images in {line!r}"
        raise InputError(f"{place}: {what}")
    if len(found) > 1:
        raise InputError(f"{place}: {line!r} can be read in several ways")
    if found[0][0] == found[0][1]:
        raise InputError(f"{place}: {found[0][0]!r} is paired with itself")
    return found[0]


def exhaustive_pairs(keys: Iterable[str]) -> list[Pair]:
    """Each image with each other one, N (N - 1) / 2 pairs.

    Examples:
        >>> exhaustive_pairs(["a", "b", "c"])
        [('a', 'b'), ('a', 'c'), ('b', 'c')]
    """
    return list(itertools.combinations(_in_order(keys), 2))


def sequential_pairs(keys: Iterable[str], reach: int) -> list[Pair]:
    """Each image with the `reach` after it, in the order of their names, where frame9 comes before frame10.

    Raises:
        InputError: `reach` is less than 1.

    Examples:
        >>> sequential_pairs(["frame10", "frame9", "frame8"], 1)
        [('frame8', 'frame9'), ('frame9', 'frame10')]
    """
    if reach < 1:
        raise InputError(f"each image is matched with at least 1 after it, got {reach}")
    ordered = _in_order(keys)
    return [(key, other) for index, key in enumerate(ordered) for other in ordered[index + 1 : index + 1 + reach]]


def _in_order(keys: Iterable[str]) -> list[str]:
    """Sorted as a person does it: digits are numbers."""
    return sorted(keys, key=lambda key: [(len(part), part) if part.isdecimal() else (0, part) for part in _parts(key)])


def _parts(key: str) -> list[str]:
    return [part.lstrip("0") or "0" if part.isdecimal() else part for part in re.split(r"(\d+)", key)]


def write_pairs(path: AnyPath, pairs: Sequence[Pair]) -> None:
    """Write a file that `read_pairs`, hloc and COLMAP read.

    Raises:
        OSError: It cannot be written.
        InputError: A name has a space, at which those programs would cut it.
    """
    for name in itertools.chain.from_iterable(pairs):
        if re.search(r"\s", name):
            raise InputError(f"a file of pairs cannot hold the name {name!r}, which has a space")
    write_text(path, "".join(f"{first} {second}\n" for first, second in pairs))
