"""`magicpoint import`."""

from __future__ import annotations

from pathlib import Path

from jsonargparse import Namespace

from ..parser import Parser

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
    from ...core.errors import InputError
    from ...core.files import check_not_replaced
    from ...interop.checkpoints import load_checkpoint
    from ...model.weights import save_weights

    if arguments.out.suffix != ".safetensors":
        raise InputError(f"the name of a weights file must end in .safetensors, got {arguments.out}")
    check_not_replaced([arguments.file], arguments.out, "weights")
    model, provenance = load_checkpoint(arguments.file, arguments.source, arguments.licence)
    print(save_weights(arguments.out, model, provenance))
