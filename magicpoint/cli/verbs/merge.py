"""`magicpoint merge`."""

from __future__ import annotations

from pathlib import Path

from jsonargparse import Namespace

from ..output import add_json, show
from ..parser import Parser

SUMMARY = "Join the shards of one job to the file that it would have written alone."


def add(parser: Parser) -> None:
    parser.add_argument(
        "shards", type=Path, help="Folder of the shards, or the file that they would be together, such as labels.h5."
    )
    parser.add_argument("--out", type=Path, required=True, help="HDF5 file to write.")
    add_json(parser)


def run(arguments: Namespace) -> None:
    from ...jobs.shards import format_merge, merge_shards

    result = merge_shards(arguments.shards, arguments.out)
    show(arguments, format_merge(result), result)
