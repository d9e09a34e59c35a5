"""`magicpoint finetune`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from ..options import fields

SUMMARY = "Train a SuperPoint on a folder of images, label to report, in one go."


def add(parser: ArgumentParser, words: Sequence[str]) -> None:
    from ...jobs.finetune.run import FinetuneSettings

    parser.add_argument("images", nargs="+", type=Path, help="Images, and folders to search for images.")
    parser.add_argument(
        "--out", type=Path, required=True, help="Folder to write; one that was begun goes on with its settings."
    )
    parser.add_class_arguments(FinetuneSettings, as_group=False)
    # What is not said anew is as the folder was begun.
    folders = [Path(after) for word, after in pairwise(words) if word == "--out"]
    parser.default_config_files = [str(folder / "settings.yaml") for folder in folders if folder.is_dir()]


def run(arguments: Namespace) -> None:
    from ...core.machine import keep_freed_memory
    from ...jobs.finetune.run import FinetuneSettings, finetune_images

    keep_freed_memory()
    finetune_images(arguments.images, arguments.out, FinetuneSettings(**fields(arguments, FinetuneSettings)))
