"""`magicpoint finetune`."""

from __future__ import annotations

from pathlib import Path

from jsonargparse import Namespace

from ..options import build
from ..parser import Parser

SUMMARY = "Train a SuperPoint on a folder of images, label to report, in one go."


def add(parser: Parser) -> None:
    from ...jobs.finetune.settings import FinetuneSettings
    from ..sizes import register_sizes

    register_sizes()
    parser.add_argument("images", nargs="+", type=Path, help="Images, and folders to search for images.")
    parser.add_argument(
        "--out", type=Path, required=True, help="Folder to write; one that was begun goes on with its settings."
    )
    parser.add_class_arguments(FinetuneSettings, as_group=False)
    # What is not said anew is as the folder was begun.
    parser.go_on_with(lambda arguments: arguments.out / "settings.yaml")


def run(arguments: Namespace) -> None:
    from ...core.machine import keep_freed_memory
    from ...jobs.finetune.run import finetune_images
    from ...jobs.finetune.settings import FinetuneSettings

    keep_freed_memory()
    finetune_images(arguments.images, arguments.out, build(FinetuneSettings, arguments))
