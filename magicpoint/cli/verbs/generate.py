"""`magicpoint generate`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

SUMMARY = "Write a dataset of synthetic shapes with sub-pixel labels."


def add(parser: ArgumentParser, words: Sequence[str]) -> None:
    from synthetic_shapes import PRIMITIVES, DatasetSettings, ShapeSettings

    parser.add_argument("out", type=Path, help="Folder to write; an unfinished one of the same settings is completed.")
    parser.add_class_arguments(DatasetSettings, as_group=False, skip={"shapes"})
    parser.add_argument("--size", type=tuple[int, int], default=ShapeSettings().size, help="Image size, HxW.")
    parser.add_argument(
        "--shapes", nargs="+", choices=tuple(PRIMITIVES), default=list(PRIMITIVES), help="Shapes to draw, in turn."
    )
    parser.add_argument("--workers", type=int | None, default=None, help="Processes; null: one per core.")


def run(arguments: Namespace) -> None:
    from synthetic_shapes import DatasetSettings, ShapeSettings, generate_dataset

    settings = DatasetSettings(
        count=arguments.count,
        validation_count=arguments.validation_count,
        test_count=arguments.test_count,
        seed=arguments.seed,
        shapes=ShapeSettings(arguments.size, tuple(arguments.shapes)),
    )
    print(generate_dataset(arguments.out, settings, workers=arguments.workers))
