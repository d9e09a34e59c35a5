"""`magicpoint locate`."""

from __future__ import annotations

from pathlib import Path

from jsonargparse import Namespace

from ..options import add_engine, add_network, add_resize, build, open_extractor, shows_progress
from ..output import add_json, show
from ..parser import Parser

NONE = "none"
"""Stands for no detector, or no verifier."""

SUMMARY = "Find known planar things, such as posters, cards and covers, in images and videos."


def add(parser: Parser) -> None:
    from ...planar.located import LocateSettings

    parser.add_argument(
        "scenes", nargs="+", type=Path, help="Images, videos, folders to search for images, and lists of images."
    )
    parser.add_argument(
        "--templates",
        nargs="+",
        type=Path,
        required=True,
        help="What is to be found: images that show nothing else, and folders of them.",
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="Folder to write: a JSON file and a picture, or a video, of each scene."
    )
    add_network(parser, "superpoint")
    parser.add_argument(
        "--proposals",
        metavar="WEIGHTS",
        default="quads",
        help="A detector of quadrilaterals, quads or a file or a run's folder: each of its finds is looked at as if it "
        "faced the camera, so that smaller and more oblique things are found. none leaves that out.",
    )
    parser.add_argument(
        "--verifier",
        metavar="WEIGHTS",
        default="verifier",
        help="A verifier, verifier or a file or a run's folder: it says how probable each find is. none leaves it out.",
    )
    add_engine(parser)
    add_resize(parser)
    add_json(parser)
    parser.add_class_arguments(LocateSettings, as_group=False)


def run(arguments: Namespace) -> None:
    from ...core.machine import keep_freed_memory
    from ...jobs.locate import format_locating, locate_templates
    from ...model.weights import load_weights, resolve_planar
    from ...planar.detector import QuadDetector
    from ...planar.locate import PROPOSING
    from ...planar.located import LocateSettings
    from ...planar.verify.network import VerifierNetwork

    keep_freed_memory()
    extractor = open_extractor(arguments)
    settings = build(LocateSettings, arguments)
    detector = None
    if arguments.proposals != NONE:
        detector = QuadDetector.from_pretrained(arguments.proposals, PROPOSING, extractor.device)
    verifier = None
    if arguments.verifier != NONE:
        verifier = load_weights(resolve_planar(arguments.verifier).path, VerifierNetwork)[0]
    found = arguments.scenes, arguments.templates, arguments.out
    result = locate_templates(*found, extractor, settings, shows_progress(arguments), detector, verifier)
    show(arguments, format_locating(result), result)
