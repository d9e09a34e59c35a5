"""The result of a verb on the standard output: text, or JSON."""

from __future__ import annotations

from jsonargparse import Namespace

from .parser import Parser


def add_json(parser: Parser) -> None:
    """The option that `show` reads."""
    parser.add_argument(
        "--json",
        action="store_true",
        help="Print the result as one JSON object, and nothing else, on the standard output.",
    )


def show(arguments: Namespace, text: str, value: object) -> None:
    """Prints the text of a result, or its value as one JSON object where that is asked for."""
    from ..core.plain import json_text  # here, so that --help need not wait for numpy

    print(json_text(value) if arguments.json else f"{text}\n", end="")
