"""`magicpoint finetune`."""

from __future__ import annotations

from pathlib import Path

from jsonargparse import Namespace

from ..options import add_device, build, device_of
from ..output import add_json, show
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
    add_json(parser)
    add_device(parser)
    parser.add_class_arguments(FinetuneSettings, as_group=False, skip={"students"})
    parser.add_argument(
        "--students",
        nargs="*",
        type=float,
        default=[],
        help="Widths of smaller networks, such as 0.5 0.25, which learn from nothing what the last round's finds.",
    )
    # What is not said anew is as the folder was begun.
    parser.go_on_with(lambda arguments: arguments.out / "settings.yaml")


def run(arguments: Namespace) -> None:
    from ...core.machine import keep_freed_memory
    from ...jobs.finetune.report import finetuning_as_plain, summarize_finetuning
    from ...jobs.finetune.run import finetune_images
    from ...jobs.finetune.settings import FinetuneSettings

    keep_freed_memory()
    result = finetune_images(
        arguments.images,
        arguments.out,
        build(FinetuneSettings, arguments, students=tuple(arguments.students)),
        device_of(arguments),
        progress=not arguments.quiet,
    )
    show(arguments, summarize_finetuning(result), finetuning_as_plain(result))
