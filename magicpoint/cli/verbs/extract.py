"""`magicpoint extract`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from ..options import (
    add_earlier,
    add_engine,
    add_masks,
    add_network,
    add_resize,
    add_shard,
    build,
    open_extractor,
    shard_of,
    shows_progress,
)
from ..output import add_json, show
from ..parser import Parser

SUMMARY = "Find the keypoints of images; write them to an HDF5 file."


def add(parser: Parser) -> None:
    from ...decoding.settings import DecodeSettings
    from ...io.layouts import FileLayout

    parser.add_argument(
        "images",
        nargs="+",
        type=Path,
        help="Images, videos, tar files of images, and folders to search; lists of these and addresses, .txt.",
    )
    parser.add_argument("--out", type=Path, required=True, help="HDF5 file to write, one group for each image.")
    parser.add_argument(
        "--overlay",
        type=Path | None,
        default=None,
        help="Folder for pictures with the keypoints, from red to cyan by their score.",
    )
    add_masks(parser)
    parser.add_argument(
        "--layout",
        type=FileLayout,
        default="magicpoint",
        help="Whose layout the file has, ours or hloc's, which sees images as they are stored.",
    )
    add_network(parser, "superpoint")
    add_engine(parser)
    add_resize(parser)
    add_earlier(parser)
    add_shard(parser)
    add_json(parser)
    parser.add_class_arguments(DecodeSettings, as_group=False)


def run(arguments: Namespace) -> None:
    from ...core.machine import keep_freed_memory
    from ...decoding.settings import DecodeSettings
    from ...jobs.extract import extract_images, format_extraction

    keep_freed_memory()
    settings = build(DecodeSettings, arguments)
    extractor = open_extractor(arguments, settings, "stored" if arguments.layout == "hloc" else "exif")
    options: dict[str, Any] = {name: arguments[name] for name in ("masks", "append", "prune", "root", "layout")}
    options |= {"progress": shows_progress(arguments), "shard": shard_of(arguments)}
    result = extract_images(arguments.images, arguments.out, extractor, arguments.overlay, **options)
    show(arguments, format_extraction(result), result)
