"""`magicpoint colmap`."""

from __future__ import annotations

from pathlib import Path

from jsonargparse import Namespace

from ..options import (
    add_engine,
    add_heatmap_switches,
    add_matcher,
    add_network,
    add_read_all,
    build,
    open_extractor,
    open_matching,
)
from ..output import add_json, show
from ..pairs import add_pairs, chosen_pairs
from ..parser import Parser

SUMMARY = "Make COLMAP's database of a folder of images, with verified matches, and its models."


def add(parser: Parser) -> None:
    from ...decoding.settings import DecodeSettings
    from ...interop.camera_mode import CameraMode

    parser.add_argument("images", type=Path, help="Folder of the images; COLMAP names them by their paths in it.")
    parser.add_argument(
        "--out", type=Path, required=True, help="Folder to write: features.h5, matches.h5, database.db and models/."
    )
    parser.add_argument("--map", action="store_true", help="Run COLMAP's mapper on the database.")
    add_pairs(parser)
    parser.add_argument(
        "--camera_mode",
        type=CameraMode,
        default="auto",
        help="Which images share a camera; auto: those of one size and with the same camera in their EXIF headers.",
    )
    add_network(parser, "superpoint")
    add_engine(parser)
    add_heatmap_switches(parser)
    add_read_all(parser)
    add_json(parser)
    add_matcher(parser)
    parser.add_class_arguments(DecodeSettings, as_group=False)


def run(arguments: Namespace) -> None:
    from ...core.machine import keep_freed_memory
    from ...decoding.settings import DecodeSettings
    from ...jobs.colmap import format_mapping, map_images

    keep_freed_memory()
    pairs = chosen_pairs(arguments, "exhaustive")
    extractor = open_extractor(arguments, build(DecodeSettings, arguments), "stored")
    settings = open_matching(arguments, extractor.weights_hash)
    options = {"camera_mode": arguments.camera_mode, "mapper": arguments.map, "progress": not arguments.quiet}
    result = map_images(arguments.images, arguments.out, extractor, pairs, settings, **options)
    show(arguments, format_mapping(result), result)
