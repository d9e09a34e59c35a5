"""`magicpoint train`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from ..options import fields, presets

SUMMARY = "Train a detector on shapes, or a detector and descriptors on labelled images."


def add(parser: ArgumentParser, words: Sequence[str]) -> None:
    from ...training.settings import TrainSettings

    parser.add_argument("out", type=Path, help="Folder of the run: weights, state, settings, metrics.")
    parser.add_argument(
        "--resume", action="store_true", help="Go on from the run's last checkpoint, with its settings."
    )
    parser.add_argument("--config", action="config", help=f"YAML file, or one of: {', '.join(presets())}.")
    parser.add_class_arguments(TrainSettings, as_group=False, skip={"images"})
    parser.add_argument(
        "--images", nargs="*", type=Path, default=[], help="Images, and folders to search for images (superpoint)."
    )
    if "--resume" in words:
        # The run's own settings, of whichever word is its folder: a pattern that finds nothing changes nothing.
        folders = (Path(word) for word in words if not word.startswith("-"))
        parser.default_config_files = [str(folder / "settings.yaml") for folder in folders if folder.is_dir()][:1]


def run(arguments: Namespace) -> None:
    from ...core.machine import keep_freed_memory
    from ...training.loop import train_model
    from ...training.settings import TrainSettings

    keep_freed_memory()
    settings = TrainSettings(**{**fields(arguments, TrainSettings), "images": tuple(arguments.images)})
    print(train_model(arguments.out, settings, resume=arguments.resume))
