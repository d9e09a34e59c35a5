"""`magicpoint generate`."""

from __future__ import annotations

from pathlib import Path

from jsonargparse import Namespace

from ..options import build, shard_of, shows_progress
from ..parser import Parser

SUMMARY = "Write a dataset of synthetic shapes with sub-pixel labels."


def add(parser: Parser) -> None:
    from synthetic_shapes import PRIMITIVES, DatasetSettings, ShapeSettings
    from synthetic_shapes.sizes import SizeHW

    from ..sizes import register_sizes

    register_sizes()
    parser.add_argument("out", type=Path, help="Folder to write; an unfinished one of the same settings is completed.")
    parser.add_class_arguments(DatasetSettings, as_group=False, skip={"shapes"})
    parser.add_argument("--size_hw", type=SizeHW, default=ShapeSettings().size_hw, help="Image size, HxW.")
    parser.add_argument(
        "--shapes",
        nargs="+",
        choices=tuple(PRIMITIVES),
        default=list(ShapeSettings().shapes),
        help="Shapes to draw, in turn.",
    )
    parser.add_argument("--workers", type=int | None, default=None, help="Processes; null: one per core.")
    parser.add_argument(
        "--shard",
        type=str | None,
        default=None,
        help="Render this share of the images alone, such as 3/16, counted from 0, beside processes with the others; "
        "the same command without it finishes the dataset. null: all, or under torchrun the share of the process.",
    )


def run(arguments: Namespace) -> None:
    from synthetic_shapes import DatasetSettings, ShapeSettings, generate_dataset

    from ...core.locks import locked

    shapes = build(ShapeSettings, arguments, shapes=tuple(arguments.shapes))
    settings = build(DatasetSettings, arguments, shapes=shapes)
    shard = shard_of(arguments)
    share = None if shard is None else (shard.number, shard.count)
    # Of a share the lock stands beside the folder under the name that its file would have.
    out = arguments.out
    with locked(out if shard is None else out.with_name(shard.name(out.name))):
        path = generate_dataset(
            out, settings, workers=arguments.workers, progress=shows_progress(arguments), share=share
        )
    print(path)
