"""`magicpoint check`."""

from __future__ import annotations

from pathlib import Path

from jsonargparse import Namespace

from ..output import add_json, show
from ..parser import Parser

SUMMARY = "Say whether every image is in the shards of a job exactly once, and which shard lacks what."


def add(parser: Parser) -> None:
    parser.add_argument(
        "shards", type=Path, help="Folder of the shards, the file that they would be together, or a file of records."
    )
    parser.add_argument(
        "images", nargs="*", type=Path, help="What they were made of, as it was given; without: only what is there."
    )
    parser.add_argument(
        "--root", type=Path | None, default=None, help="Folder from which the images' keys are paths, as it was given."
    )
    add_json(parser)


def run(arguments: Namespace) -> None:
    from ...core.errors import InputError
    from ...jobs.shards import check_shards, format_check

    result = check_shards(arguments.shards, arguments.images, arguments.root)
    show(arguments, format_check(result), result)
    if not result.is_complete:
        raise InputError(f"{arguments.shards} is not complete")
