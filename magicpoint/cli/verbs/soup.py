"""`magicpoint soup`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from jsonargparse import Namespace

from ..parser import Parser
from ..weights_file import write_weights

SUMMARY = "Average the weights of several runs that began with the same ones."


def add(parser: Parser) -> None:
    parser.add_argument(
        "weights",
        type=str,
        nargs="+",
        help="Two or more weights files, run folders (their best weights), shipped names or hf:USER/REPOSITORY, of "
        "networks of one form; one that is named twice counts twice. With the weights that the runs began with among "
        "them the mean stays nearer to these.",
    )
    parser.add_argument("--out", type=Path, required=True, help="Weights file to write, .safetensors.")


def run(arguments: Namespace) -> None:
    from ...model.soup import average_weights
    from ...model.weights import resolve

    files = [resolve(weights).path for weights in arguments.weights]
    make = partial(average_weights, arguments.weights)
    print(write_weights(arguments.out, files, "the mean of these weights", make))
