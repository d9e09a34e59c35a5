"""The verbs of the command line, a file for each: its `SUMMARY`, `add` for its arguments and `run`.

A verb's file imports what it needs when it is asked for, so that `magicpoint --help` need not wait for torch.
"""

from __future__ import annotations

from typing import Protocol

from jsonargparse import Namespace

from ..parser import Parser
from . import (
    adapt,
    check,
    colmap,
    convert,
    evaluate,
    export,
    extract,
    finetune,
    generate,
    generate_scenes,
    importing,
    info,
    labels,
    locate,
    match,
    merge,
    soup,
    track,
    train,
)


class Verb(Protocol):
    """A module of this folder."""

    SUMMARY: str

    def add(self, parser: Parser) -> None:
        """Gives the verb's parser its arguments."""

    def run(self, arguments: Namespace) -> None:
        """Does it."""


VERBS: dict[str, Verb] = {
    "generate": generate,
    "generate-scenes": generate_scenes,
    "convert": convert,
    "train": train,
    "adapt": adapt,
    "labels": labels,
    "evaluate": evaluate,
    "extract": extract,
    "match": match,
    "track": track,
    "locate": locate,
    "colmap": colmap,
    "finetune": finetune,
    "soup": soup,
    "import": importing,
    "merge": merge,
    "check": check,
    "export": export,
    "info": info,
}
"""In the order in which the help lists them."""


def verb_parser(name: str) -> Parser:
    """The parser of a verb's words, with the option that all have."""
    parser = Parser(prog=f"magicpoint {name}", description=VERBS[name].SUMMARY)
    VERBS[name].add(parser)
    parser.add_argument(
        "--quiet",
        action="store_true",
        help="No progress bars and no information on the standard error: warnings alone.",
    )
    return parser
