"""`magicpoint merge`."""

from __future__ import annotations

from pathlib import Path

from jsonargparse import Namespace

from ..output import add_json, show
from ..parser import Parser

SUMMARY = "Join the shards of one job to the file, or the report, that it would have written alone."


def add(parser: Parser) -> None:
    parser.add_argument(
        "shards", type=Path, help="Folder of the shards, or the file that they would be together, such as labels.h5."
    )
    parser.add_argument("--out", type=Path, required=True, help="HDF5 file to write; of an evaluation the folder.")
    add_json(parser)


def run(arguments: Namespace) -> None:
    from ...evaluation.pairs.json_file import PAIRS_JSON, pairs_as_plain
    from ...evaluation.pairs.report import format_pairs
    from ...jobs.evaluate_shares import has_shares, merge_evaluation
    from ...jobs.shards import format_merge, merge_shards

    if has_shares(arguments.shards):
        pairs = merge_evaluation(arguments.shards, arguments.out)
        show(arguments, f"{format_pairs(pairs)}\n{arguments.out / PAIRS_JSON}", pairs_as_plain(pairs))
        return
    result = merge_shards(arguments.shards, arguments.out)
    show(arguments, format_merge(result), result)
