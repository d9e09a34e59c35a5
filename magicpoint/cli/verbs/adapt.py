"""`magicpoint adapt`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from ..options import (
    add_earlier,
    add_masks,
    add_network,
    add_shard,
    build,
    open_extractor,
    shard_of,
    shows_progress,
)
from ..output import add_json, show
from ..parser import Parser

SUMMARY = "Label images with a detector by homographic adaptation."


def add(parser: Parser) -> None:
    from ...adaptation.settings import AdaptationSettings

    parser.add_argument(
        "images",
        nargs="+",
        type=Path,
        help="Images, tar files of images, and folders to search; lists of these and addresses, .txt.",
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="HDF5 file of labels to write; a report goes beside it."
    )
    parser.add_argument(
        "--overlay",
        type=Path | None,
        default=None,
        help="Folder for sheets of labelled images, not of those in tar files.",
    )
    add_masks(parser)
    add_network(parser, "magicpoint")
    add_earlier(parser)
    add_shard(parser)
    add_json(parser)
    parser.add_class_arguments(AdaptationSettings, as_group=False)


def run(arguments: Namespace) -> None:
    from ...adaptation.settings import AdaptationSettings
    from ...adaptation.summary import format_labels
    from ...core.machine import keep_freed_memory
    from ...io.earlier import format_outcome
    from ...jobs.adapt import LABELS_FILE, adapt_images

    keep_freed_memory()
    settings = build(AdaptationSettings, arguments)
    extractor = open_extractor(arguments)
    options: dict[str, Any] = {name: arguments[name] for name in ("masks", "append", "prune", "root")}
    options |= {"progress": shows_progress(arguments), "shard": shard_of(arguments)}
    report = adapt_images(arguments.images, arguments.out, extractor, settings, arguments.overlay, **options)
    shard = options["shard"]
    path = arguments.out if shard is None else shard.path(arguments.out, LABELS_FILE)
    show(arguments, f"{format_labels(report)}\n{path}: {format_outcome(report)}", report)
