"""`magicpoint track`."""

from __future__ import annotations

from pathlib import Path

from jsonargparse import Namespace

from ..options import (
    UnusableArgument,
    add_engine,
    add_matcher_name,
    add_network,
    add_resize,
    build,
    open_extractor,
    open_learned,
)
from ..output import add_json, show
from ..parser import Parser

SUMMARY = "Follow the keypoints of a video or camera; write the video with their tracks."


def add(parser: Parser) -> None:
    from ...decoding.settings import DecodeSettings
    from ...matching.settings import TrackSettings

    parser.add_argument("source", type=str, help="Video file, camera index, image folder, or a pattern in quotes.")
    parser.add_argument(
        "--out",
        type=Path | None,
        default=None,
        help="Video to write (.mp4, .mov, .avi, .mkv), or a folder for PNG files; null: the table alone.",
    )
    parser.add_argument(
        "--table",
        type=Path | None,
        default=None,
        help="CSV file to write, a line for each keypoint of each frame: frame, track, x, y, length.",
    )
    parser.add_argument("--max_frames", type=int | None, default=None, help="Stop after so many; null: at the end.")
    add_network(parser, "superpoint")
    add_engine(parser)
    add_resize(parser)
    add_json(parser)
    add_matcher_name(parser)
    parser.add_class_arguments(TrackSettings, as_group=False)
    parser.add_class_arguments(DecodeSettings, as_group=False)


def run(arguments: Namespace) -> None:
    from ...core.machine import keep_freed_memory
    from ...decoding.settings import DecodeSettings
    from ...jobs.track import format_tracking, track_video
    from ...matching.settings import TrackSettings

    if arguments.out is None and arguments.table is None:
        raise UnusableArgument("--out or --table is needed: the video with the tracks, or the tracks alone")
    keep_freed_memory()
    extractor = open_extractor(arguments, build(DecodeSettings, arguments))
    settings = build(TrackSettings, arguments)
    name = arguments.matcher
    result = track_video(
        arguments.source,
        arguments.out,
        extractor,
        settings,
        arguments.max_frames,
        progress=not arguments.quiet,
        table=arguments.table,
        matcher=None if name == "nearest" else open_learned(name, extractor.weights_hash),
    )
    show(arguments, format_tracking(result), result)
