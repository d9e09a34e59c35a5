"""The verbs that use weights: evaluate, extract, match, track, export."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from .cli_shared import add_engine, add_weights, fields, open_extractor


def add_evaluate(parser: ArgumentParser, words: Sequence[str]) -> None:
    from .classical import CLASSICAL
    from .evaluate_homography import PROTOCOLS
    from .pair_methods import METHODS
    from .test_set import TEST_IMAGES_PER_SHAPE

    parser.add_argument("folder", nargs="?", type=Path | None, help="Image pairs in the HPatches layout (homography).")
    add_weights(parser, "magicpoint")
    add_engine(parser)
    parser.add_argument(
        "--dataset",
        choices=("synthetic", "homography"),
        default="synthetic",
        help="Rendered shapes, or image pairs whose homography is known.",
    )
    parser.add_argument("--out", type=Path, required=True, help="Folder for the tables, the JSON file and the plots.")
    parser.add_argument(
        "--images_per_shape",
        type=int,
        default=TEST_IMAGES_PER_SHAPE,
        help=f"synthetic: images of each shape and condition; the pinned test set has {TEST_IMAGES_PER_SHAPE}.",
    )
    parser.add_argument(
        "--protocols", nargs="+", choices=tuple(PROTOCOLS), default=list(PROTOCOLS), help="homography: which protocols."
    )
    parser.add_argument(
        "--methods",
        nargs="*",
        default=None,
        help=f"What to compare with; null: all. synthetic: {', '.join(CLASSICAL)}; homography: {', '.join(METHODS)}.",
    )


def evaluate(arguments: Namespace) -> None:
    from .allocator import keep_freed_memory
    from .evaluate import evaluate_synthetic
    from .evaluate_homography import evaluate_pairs

    keep_freed_memory()
    synthetic, folder, out = arguments.dataset == "synthetic", arguments.folder, arguments.out
    if synthetic and folder is not None:
        raise ValueError(f"{folder} is for --dataset homography; synthetic shapes are rendered")
    if not synthetic and folder is None:
        raise ValueError("--dataset homography needs the folder of the image pairs")
    chosen = {} if arguments.methods is None else {"methods": arguments.methods}
    name, extractor = Path(arguments.weights).stem, open_extractor(arguments)
    if synthetic:
        print(evaluate_synthetic(extractor, out, arguments.images_per_shape, name=name, **chosen))
    else:
        print(evaluate_pairs(folder, out, {name: extractor}, protocols=arguments.protocols, **chosen))


def add_extract(parser: ArgumentParser, words: Sequence[str]) -> None:
    from .decode import DecodeSettings

    parser.add_argument("images", nargs="+", type=Path, help="Images, videos, and folders to search for images.")
    parser.add_argument("--out", type=Path, required=True, help="HDF5 file to write, one group for each image.")
    parser.add_argument(
        "--overlay",
        type=Path | None,
        default=None,
        help="Folder for pictures with the keypoints, from red to green by their score.",
    )
    add_weights(parser, "superpoint")
    add_engine(parser)
    parser.add_class_arguments(DecodeSettings, as_group=False)


def extract(arguments: Namespace) -> None:
    from .allocator import keep_freed_memory
    from .decode import DecodeSettings
    from .extract import extract_images
    from .feature_files import read_features

    keep_freed_memory()
    extractor = open_extractor(arguments, DecodeSettings(**fields(arguments, DecodeSettings)))
    out = extract_images(arguments.images, arguments.out, extractor, arguments.overlay)
    features = read_features(out)
    counts = [len(features[key]) for key in features]
    print(f"{out}: {sum(counts)} keypoints in {len(counts)} images, {len(features.skipped)} skipped")


def add_match(parser: ArgumentParser, words: Sequence[str]) -> None:
    from .decode import DecodeSettings
    from .match import MatchSettings

    parser.add_argument("image0", type=Path, help="An image.")
    parser.add_argument("image1", type=Path, help="Another, of any other size.")
    parser.add_argument("--out", type=Path, default=Path("matches.png"), help="Picture of the matches to write, PNG.")
    add_weights(parser, "superpoint")
    add_engine(parser)
    parser.add_argument(
        "--homography_threshold",
        type=float,
        default=3.0,
        help="Largest distance in image 1, in pixels, of a match that agrees with the homography.",
    )
    parser.add_class_arguments(MatchSettings, as_group=False)
    parser.add_class_arguments(DecodeSettings, as_group=False)


def match(arguments: Namespace) -> None:
    from .decode import DecodeSettings
    from .match import MatchSettings
    from .match_overlay import match_images

    extractor = open_extractor(arguments, DecodeSettings(**fields(arguments, DecodeSettings)))
    settings = MatchSettings(**fields(arguments, MatchSettings))
    print(
        match_images(
            arguments.image0, arguments.image1, extractor, arguments.out, settings, arguments.homography_threshold
        )
    )


def add_track(parser: ArgumentParser, words: Sequence[str]) -> None:
    from .decode import DecodeSettings
    from .track import TrackSettings

    parser.add_argument("source", type=str, help="Video file, camera index, image folder, or a pattern in quotes.")
    parser.add_argument(
        "--out", type=Path, required=True, help="Video to write (.mp4, .mov, .avi, .mkv), or a folder for PNG files."
    )
    parser.add_argument("--max_frames", type=int | None, default=None, help="Stop after so many; null: at the end.")
    add_weights(parser, "superpoint")
    add_engine(parser)
    parser.add_class_arguments(TrackSettings, as_group=False)
    parser.add_class_arguments(DecodeSettings, as_group=False)


def track(arguments: Namespace) -> None:
    from .allocator import keep_freed_memory
    from .decode import DecodeSettings
    from .track import TrackSettings
    from .track_overlay import track_video

    keep_freed_memory()
    extractor = open_extractor(arguments, DecodeSettings(**fields(arguments, DecodeSettings)))
    settings = TrackSettings(**fields(arguments, TrackSettings))
    track_video(arguments.source, arguments.out, extractor, settings, arguments.max_frames)


def add_export(parser: ArgumentParser, words: Sequence[str]) -> None:
    from .decode import DecodeSettings

    add_weights(parser, "superpoint")
    parser.add_argument("--out", type=Path, required=True, help="File to write.")
    parser.add_argument("--format", choices=("onnx",), default="onnx", help="The file's format.")
    parser.add_argument(
        "--kind",
        choices=("dense", "keypoints"),
        default="dense",
        help="dense: grey images (B, 1, H, W) in [0, 1], H and W multiples of 8, to heatmap and descriptor map; "
        "keypoints: of any H and W, to keypoints, scores, descriptors and their count, as the decoding options say, at "
        "most 1024 where max_keypoints is null.",
    )
    parser.add_class_arguments(DecodeSettings, as_group=False)


def export(arguments: Namespace) -> None:
    from .decode import DecodeSettings
    from .export import export_model

    model = open_extractor(arguments).model
    settings = DecodeSettings(**fields(arguments, DecodeSettings))
    print(export_model(model, arguments.out, arguments.format, arguments.kind, settings))
