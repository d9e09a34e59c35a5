"""`magicpoint info`."""

from __future__ import annotations

from pathlib import Path

from jsonargparse import Namespace

from ..output import add_json, show
from ..parser import Parser

SUMMARY = "Say what files are that this program wrote, and where they come from."


def add(parser: Parser) -> None:
    parser.add_argument(
        "files",
        nargs="+",
        type=Path,
        help="Weights, features, labels, matches, exports, evaluations, reports, pictures; folders of runs, datasets.",
    )
    add_json(parser)


def run(arguments: Namespace) -> None:
    from ...core.errors import InputError
    from ...jobs.info import format_info, read_infos

    result = read_infos(arguments.files)
    if result.files or arguments.json:
        show(arguments, "\n".join(map(format_info, result.files)), result)
    if result.refused:
        raise InputError("; ".join(result.refused))
