"""The folder of a report, before it is written: what is there may be replaced only by a report of the same networks."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from ..core.files import AnyPath
from ..core.outputs import claimed_folder
from ..core.plain import json_has
from ..io.png_text import title_of

TITLE = "evaluation"
"""Of the pictures of a report."""

_HASH = re.compile(rb"\"weights_hash\": ?\"([^\"]+)\"")


def hashes_in(content: bytes) -> set[str]:
    """Those of the networks that a JSON file tells of."""
    return {match.decode() for match in _HASH.findall(content)}


def is_report_on(content: bytes, has: Collection[str], weights: Collection[str]) -> bool:
    """Whether a file's content is JSON with values of these names, and on networks of these hashes or on none."""
    known = hashes_in(content)
    return json_has(content, *has) and (not known or not known.isdisjoint(weights))


@contextlib.contextmanager
def claimed_report(
    out: AnyPath | None, name: str, pictures: Iterable[str], begins: str, has: Collection[str], weights: Collection[str]
) -> Iterator[None]:
    """Keeps the folder of a report for this block, see `core.outputs.claimed_folder`.

    Args:
        out: The folder; None stands for no report.
        name: Of its JSON file and its table, without suffix.
        pictures: Names of its pictures.
        begins: How such a table begins.
        has: What such a JSON file has.
        weights: Hashes of the networks that are evaluated. A report of others is not replaced.

    Raises:
        InputError: Something else is there, or another process is writing it; the message names it.
        OSError: The folder cannot be written; the message names it.
    """

    def is_own(path: Path) -> bool:
        if path.suffix == ".png":
            return title_of(path) == TITLE
        content = path.read_bytes()
        if path.suffix == ".txt":
            return content.startswith(begins.encode())
        return is_report_on(content, has, weights)

    if out is None:
        yield
        return
    with claimed_folder(out, [f"{name}.json", f"{name}.txt", *pictures], "a report on these networks", is_own):
        yield
