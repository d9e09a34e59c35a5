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
    from ...core.outputs import claimed
    from ...interop.checkpoints import load_checkpoint
    from ...model.weights import load_weights, save_weights

    if arguments.out.suffix != ".safetensors":
        raise InputError(f"the name of a weights file must end in .safetensors, got {arguments.out}")
    check_not_replaced([arguments.file], arguments.out, "weights")

    def is_own(path: Path) -> bool:
        try:
            return load_weights(path)[1] == load_checkpoint(arguments.file, arguments.source, arguments.licence)[1]
        except (OSError, InputError):
            return False

    with claimed(arguments.out, "weights of this source", is_own):
        print(save_weights(arguments.out, *load_checkpoint(arguments.file, arguments.source, arguments.licence)))
