"""`magicpoint train`."""

from __future__ import annotations

from pathlib import Path

from jsonargparse import Namespace

from ..options import add_settings_file, build
from ..output import add_json, show
from ..parser import Parser

SUMMARY = "Train a detector on shapes, or a detector and descriptors on labelled images."


def add(parser: Parser) -> None:
    from ...training.settings import TrainSettings
    from ..sizes import register_sizes

    register_sizes()
    parser.add_argument("out", type=Path, help="Folder of the run: weights, state, settings, metrics.")
    parser.add_argument(
        "--resume", action="store_true", help="Go on from the run's last checkpoint, with its settings."
    )
    add_settings_file(parser)
    add_json(parser)
    parser.add_class_arguments(TrainSettings, as_group=False, skip={"images"})
    parser.add_argument(
        "--images", nargs="*", type=Path, default=[], help="Images, and folders to search for images (superpoint)."
    )
    # What is not said anew is as the run was begun.
    parser.go_on_with(lambda arguments: arguments.out / "settings.yaml" if arguments.resume else None)


def run(arguments: Namespace) -> None:
    from ...core.machine import keep_freed_memory
    from ...jobs.train import read_training
    from ...training.loop import train_model
    from ...training.settings import TrainSettings

    keep_freed_memory()
    settings = build(TrainSettings, arguments, images=tuple(arguments.images))
    weights = train_model(arguments.out, settings, resume=arguments.resume)
    show(arguments, str(weights), read_training(arguments.out))
