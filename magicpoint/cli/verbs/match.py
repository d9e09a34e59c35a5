"""`magicpoint match`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import Namespace

from ..options import (
    UnusableArgument,
    add_engine,
    add_matcher,
    add_network,
    add_resize,
    build,
    open_extractor,
    open_matching,
)
from ..output import add_json, show
from ..pairs import add_pairs, chosen_pairs
from ..parser import Parser

if TYPE_CHECKING:
    from ...core.geometry import GeometryModel
    from ...matching.settings import GeometrySettings

SUMMARY = "Match two images, or many pairs by their features; find what ties them together."

_OF_FEATURES = {"pairs", "exhaustive", "sequential", "layout"}
_OF_BOTH = {"quiet", "images", "out", "json", "model", "model_threshold", "solver", "intrinsics"}
_PICTURE = Path("matches.png")


def add(parser: Parser) -> None:
    from ...core.geometry import GeometryModel
    from ...decoding.settings import DecodeSettings
    from ...io.layouts import FileLayout
    from ...matching.settings import GeometrySettings

    parser.add_argument(
        "images", nargs="+", type=Path, help="Two images; or one HDF5 file of features, to match its images in pairs."
    )
    parser.add_argument(
        "--out",
        type=Path | None,
        default=None,
        help="Of two images: picture (.png) or data (.json, .csv, .h5); null: matches.png, and nothing with --json. Of "
        "features: HDF5 file with the matches of all pairs.",
    )
    add_json(parser)
    add_pairs(parser, "features: ")
    parser.add_argument(
        "--layout", type=FileLayout, default="magicpoint", help="features: whose layout the file has, ours or hloc's."
    )
    parser.add_argument(
        "--model",
        type=GeometryModel | None,
        default=None,
        help="What matches have to agree on; null: a homography of two images, nothing of features.",
    )
    parser.add_class_arguments(GeometrySettings, as_group=False, skip={"model"})
    parser.add_argument(
        "--intrinsics",
        type=str | None,
        default=None,
        help="For --model essential: FX,FY,CX,CY in pixels, or a file with a line NAME FX FY CX CY for each image.",
    )
    parser.add_argument(
        "--turns", action="store_true", help="Of two images: try the second in its four quarter turns; keep the best."
    )
    add_matcher(parser)
    add_network(parser, "superpoint")
    add_engine(parser)
    add_resize(parser)
    parser.add_class_arguments(DecodeSettings, as_group=False)


def run(arguments: Namespace) -> None:
    if len(arguments.images) > 2:
        raise UnusableArgument(
            f"two images, or one file of features, got {arguments.images[2]} and {len(arguments.images) - 1} more: "
            "many pairs are matched from their features"
        )
    (_run_images if len(arguments.images) == 2 else _run_features)(arguments)


def _run_images(arguments: Namespace) -> None:
    from ...decoding.settings import DecodeSettings
    from ...io.intrinsics import read_intrinsics
    from ...jobs.match import format_matching, match_images

    _refuse(arguments, _OF_FEATURES, "is for a file of features, and two images are given")
    out = _PICTURE if arguments.out is None and not arguments.json else arguments.out
    geometry = _geometry(arguments, "homography")
    names = [path.name for path in arguments.images]
    cameras = None if arguments.intrinsics is None else read_intrinsics(arguments.intrinsics, names)
    extractor = open_extractor(arguments, build(DecodeSettings, arguments))
    settings = open_matching(arguments, extractor.weights_hash)
    intrinsics = None if cameras is None else (cameras[names[0]], cameras[names[1]])
    image0, image1 = arguments.images
    result = match_images(image0, image1, extractor, out, settings, geometry, intrinsics, arguments.turns)
    show(arguments, format_matching(result), result)


def _run_features(arguments: Namespace) -> None:
    import h5py

    from ...io.intrinsics import read_intrinsics
    from ...jobs.pairs import format_match_pairs, match_pairs, open_features
    from ...matching.settings import LearnedSettings, MatchSettings

    [path] = arguments.images
    if path.is_file() and not h5py.is_hdf5(path):
        raise UnusableArgument(f"{path} is no file of features: give a second image, or features for many pairs")
    of_matching = {"matcher", *MatchSettings.__dataclass_fields__, *LearnedSettings.__dataclass_fields__}
    _refuse(
        arguments,
        set(vars(arguments)) - _OF_FEATURES - _OF_BOTH - of_matching,
        "is for two images, and a file of features is given",
    )
    if arguments.model is None:
        _refuse(arguments, {"model_threshold", "solver", "intrinsics"}, "needs --model")
    if arguments.out is None:
        raise UnusableArgument("--out is needed: the HDF5 file of the matches")
    features = open_features(path)
    geometry = None if arguments.model is None else _geometry(arguments, arguments.model)
    cameras = None if arguments.intrinsics is None else read_intrinsics(arguments.intrinsics, features)
    pairs = chosen_pairs(arguments)(features)
    settings = open_matching(arguments, features.provenance.get("weights_hash"))
    result = match_pairs(
        path, pairs, arguments.out, settings, geometry, cameras, arguments.layout, progress=not arguments.quiet
    )
    show(arguments, format_match_pairs(result), result)


def _geometry(arguments: Namespace, model: GeometryModel) -> GeometrySettings:
    from ...matching.settings import GeometrySettings

    return build(GeometrySettings, arguments, model=arguments.model or model)


def _refuse(arguments: Namespace, names: set[str], why: str) -> None:
    """Refuses options that would do nothing."""
    parser = Parser()
    add(parser)
    defaults = parser.get_defaults()
    for name in sorted(names):
        if arguments[name] != defaults[name]:
            raise UnusableArgument(f"--{name} {why}")
