"""`magicpoint convert`."""

from __future__ import annotations

from pathlib import Path

from jsonargparse import Namespace

from ..parser import Parser

SUMMARY = "Convert a dataset of the older trainers, whose labels are (row, column)."


def add(parser: Parser) -> None:
    from synthetic_shapes.sizes import SizeHW

    from ..sizes import register_sizes

    register_sizes()
    parser.add_argument(
        "source", type=Path, help="Folder with draw_lines, draw_polygon, ... or their .tar.gz archives."
    )
    parser.add_argument("out", type=Path, help="Folder to write.")
    parser.add_argument(
        "--drawn_size",
        type=SizeHW | None,
        default=None,
        help="HxW at which the images were drawn before they were reduced (960x1280 by default in those trainers): "
        "moves the labels to where the corners are, by up to half a pixel. null: as they are.",
    )


def run(arguments: Namespace) -> None:
    from synthetic_shapes import convert_legacy_dataset

    from ...core.locks import locked

    with locked(arguments.out):
        path = convert_legacy_dataset(
            arguments.source, arguments.out, drawn_at=arguments.drawn_size, progress=not arguments.quiet
        )
    print(path)
