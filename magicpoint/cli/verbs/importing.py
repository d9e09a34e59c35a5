"""`magicpoint import`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from jsonargparse import Namespace

from ..parser import Parser
from ..weights_file import write_weights

SUMMARY = "Read the weights of another SuperPoint."


def add(parser: Parser) -> None:
    parser.add_argument(
        "file", type=Path, help="Its weights: .safetensors, or a file of torch.save, from which no code is run."
    )
    parser.add_argument("--out", type=Path, required=True, help="Weights file to write, .safetensors.")
    parser.add_argument("--source", type=str, required=True, help="Where the file was published; kept in the metadata.")
    parser.add_argument(
        "--licence",
        type=str,
        required=True,
        help="Under which licence; kept in the metadata. Weights that Magic Leap published are non-commercial.",
    )


def run(arguments: Namespace) -> None:
    from ...interop.checkpoints import load_checkpoint

    make = partial(load_checkpoint, arguments.file, arguments.source, arguments.licence)
    print(write_weights(arguments.out, [arguments.file], "weights of this source", make))
