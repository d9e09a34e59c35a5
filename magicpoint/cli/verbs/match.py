"""`magicpoint match`."""

from __future__ import annotations

from pathlib import Path

from jsonargparse import Namespace

from ..options import add_engine, add_network, build, open_extractor
from ..output import add_json, show
from ..parser import Parser

SUMMARY = "Match two images, find the homography between them, draw both."


def add(parser: Parser) -> None:
    from ...decoding.settings import DecodeSettings
    from ...matching.settings import MatchSettings

    parser.add_argument("image0", type=Path, help="An image.")
    parser.add_argument("image1", type=Path, help="Another, of any other size.")
    parser.add_argument("--out", type=Path, default=Path("matches.png"), help="Picture of the matches to write, PNG.")
    add_network(parser, "superpoint")
    add_engine(parser)
    add_json(parser)
    parser.add_argument(
        "--homography_threshold",
        type=float,
        default=3.0,
        help="Largest distance in image 1, in pixels, of a match that agrees with the homography.",
    )
    parser.add_class_arguments(MatchSettings, as_group=False)
    parser.add_class_arguments(DecodeSettings, as_group=False)


def run(arguments: Namespace) -> None:
    from ...core.settings import check_range
    from ...decoding.settings import DecodeSettings
    from ...jobs.match import format_matching, match_images
    from ...matching.settings import MatchSettings

    check_range(arguments, "(0, inf)", "homography_threshold")
    extractor = open_extractor(arguments, build(DecodeSettings, arguments))
    settings = build(MatchSettings, arguments)
    result = match_images(
        arguments.image0, arguments.image1, extractor, arguments.out, settings, arguments.homography_threshold
    )
    show(arguments, format_matching(result), result)
