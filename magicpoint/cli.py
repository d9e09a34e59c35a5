"""The command line: parsing only. What a verb needs is imported when the verb is asked for."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import ArgumentParser, Namespace

if TYPE_CHECKING:
    from .decode import DecodeSettings
    from .extract import Extractor

Adder = Callable[[ArgumentParser, Sequence[str]], None]
"""Gives a verb's parser its arguments; sees the words of the command line."""

Runner = Callable[[Namespace], None]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one verb; returns the exit status: 0 done, 1 failed (it says why), 2 unusable arguments, 130 interrupted."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = ArgumentParser(prog="magicpoint", description="Learned keypoints, the whole way.")
    parser.add_argument("--version", action="version", version=_version())
    verbs = parser.add_subcommands(required=True, dest="verb", metavar="VERB")
    named = next((word for word in arguments if not word.startswith("-")), None)
    for name, (summary, add, _) in VERBS.items():
        verb = ArgumentParser(prog=f"magicpoint {name}", description=summary)
        if name == named:
            add(verb, arguments)
        verbs.add_subcommand(name, verb, help=summary)
    parsed = parser.parse_args(_plain(arguments))
    try:
        VERBS[parsed.verb][2](parser.instantiate_classes(parsed)[parsed.verb])
    except KeyboardInterrupt as error:
        print(f"\nmagicpoint: {error or 'interrupted'}", file=sys.stderr)
        return 130
    except (ValueError, OSError, RuntimeError) as error:
        print(f"magicpoint: {error}", file=sys.stderr)
        return 1
    return 0


def _version() -> str:
    from importlib.metadata import version

    return f"magicpoint {version('magicpoint')}"


def presets() -> list[str]:
    """The names of the settings that ship with the package."""
    folder = resources.files("magicpoint") / "configs"
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def _plain(arguments: list[str]) -> list[str]:
    """Replaces the name of a preset behind --config by its path, and a size HxW behind an option by [H, W]."""
    folder = resources.files("magicpoint") / "configs"
    plain = list(arguments)
    for place, (option, word) in enumerate(pairwise(arguments), 1):
        if option == "--config" and word in presets():
            plain[place] = str(folder / f"{word}.yaml")
        elif option.endswith("size") and re.fullmatch(r"\d+x\d+", word):
            plain[place] = f"[{word.replace('x', ', ')}]"
    return plain


def _add_generate(parser: ArgumentParser, words: Sequence[str]) -> None:
    from synthetic_shapes import PRIMITIVES, DatasetSettings, ShapeSettings

    parser.add_argument("out", type=Path, help="Folder to write; an unfinished one of the same settings is completed.")
    parser.add_class_arguments(DatasetSettings, as_group=False, skip={"shapes"})
    parser.add_argument("--size", type=tuple[int, int], default=ShapeSettings().size, help="Image size, HxW.")
    parser.add_argument(
        "--shapes", nargs="+", choices=tuple(PRIMITIVES), default=list(PRIMITIVES), help="Shapes to draw, in turn."
    )
    parser.add_argument("--workers", type=int | None, default=None, help="Processes; null: one per core.")


def _generate(arguments: Namespace) -> None:
    from synthetic_shapes import DatasetSettings, ShapeSettings, generate_dataset

    settings = DatasetSettings(
        count=arguments.count,
        validation_count=arguments.validation_count,
        test_count=arguments.test_count,
        seed=arguments.seed,
        shapes=ShapeSettings(arguments.size, tuple(arguments.shapes)),
    )
    print(generate_dataset(arguments.out, settings, workers=arguments.workers))


def _add_convert(parser: ArgumentParser, words: Sequence[str]) -> None:
    parser.add_argument(
        "source", type=Path, help="Folder with draw_lines, draw_polygon, ... or their .tar.gz archives."
    )
    parser.add_argument("out", type=Path, help="Folder to write.")
    parser.add_argument(
        "--drawn_size",
        type=tuple[int, int] | None,
        default=None,
        help="HxW at which the images were drawn before they were reduced (960x1280 by default in those trainers): "
        "moves the labels to where the corners are, by up to half a pixel. null: as they are.",
    )


def _convert(arguments: Namespace) -> None:
    from synthetic_shapes import convert_legacy_dataset

    print(convert_legacy_dataset(arguments.source, arguments.out, drawn_at=arguments.drawn_size))


def _add_train(parser: ArgumentParser, words: Sequence[str]) -> None:
    from .config import TrainSettings

    parser.add_argument("out", type=Path, help="Folder of the run: weights, state, settings, metrics.")
    parser.add_argument(
        "--resume", action="store_true", help="Go on from the run's last checkpoint, with its settings."
    )
    parser.add_argument("--config", action="config", help=f"YAML file, or one of: {', '.join(presets())}.")
    parser.add_class_arguments(TrainSettings, as_group=False, skip={"images"})
    parser.add_argument(
        "--images", nargs="*", type=Path, default=[], help="Images, and folders to search for images (superpoint)."
    )
    if "--resume" in words:
        # The run's own settings, of whichever word is its folder: a pattern that finds nothing changes nothing.
        folders = (Path(word) for word in words if not word.startswith("-"))
        parser.default_config_files = [str(folder / "settings.yaml") for folder in folders if folder.is_dir()][:1]


def _train(arguments: Namespace) -> None:
    from .allocator import keep_freed_memory
    from .config import TrainSettings
    from .train import train_model

    keep_freed_memory()
    settings = TrainSettings(**{**_fields(arguments, TrainSettings), "images": tuple(arguments.images)})
    print(train_model(arguments.out, settings, resume=arguments.resume))


def _add_evaluate(parser: ArgumentParser, words: Sequence[str]) -> None:
    from .classical import CLASSICAL
    from .evaluate_homography import PROTOCOLS
    from .pair_methods import METHODS
    from .test_set import TEST_IMAGES_PER_SHAPE

    parser.add_argument("folder", nargs="?", type=Path | None, help="Image pairs in the HPatches layout (homography).")
    parser.add_argument("--weights", type=str, default="magicpoint", help="Weights file, run folder, or shipped name.")
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


def _evaluate(arguments: Namespace) -> None:
    from .allocator import keep_freed_memory
    from .evaluate import evaluate_synthetic
    from .evaluate_homography import evaluate_pairs

    keep_freed_memory()
    chosen = {} if arguments.methods is None else {"methods": arguments.methods}
    extractor = _open_extractor(arguments.weights)
    if arguments.dataset == "synthetic":
        print(evaluate_synthetic(extractor, arguments.out, arguments.images_per_shape, **chosen))
    elif arguments.folder is None:
        raise ValueError("--dataset homography needs the folder of the image pairs")
    else:
        networks = {Path(arguments.weights).stem: extractor}
        print(evaluate_pairs(arguments.folder, arguments.out, networks, protocols=arguments.protocols, **chosen))


def _add_adapt(parser: ArgumentParser, words: Sequence[str]) -> None:
    from .pseudo_label import AdaptationSettings

    parser.add_argument("images", nargs="+", type=Path, help="Images, and folders to search for images.")
    parser.add_argument(
        "--out", type=Path, required=True, help="HDF5 file of labels to write; a report goes beside it."
    )
    parser.add_argument("--overlay", type=Path | None, default=None, help="Folder for sheets of labelled images.")
    parser.add_argument("--weights", type=str, default="magicpoint", help="Weights file, run folder, or shipped name.")
    parser.add_class_arguments(AdaptationSettings, as_group=False)


def _adapt(arguments: Namespace) -> None:
    from .allocator import keep_freed_memory
    from .pseudo_label import AdaptationSettings, adapt_images

    keep_freed_memory()
    settings = AdaptationSettings(**_fields(arguments, AdaptationSettings))
    extractor = _open_extractor(arguments.weights)
    print(adapt_images(arguments.images, arguments.out, extractor, settings, arguments.overlay))


def _add_extract(parser: ArgumentParser, words: Sequence[str]) -> None:
    from .decode import DecodeSettings

    parser.add_argument("images", nargs="+", type=Path, help="Images, and folders to search for images.")
    parser.add_argument("--out", type=Path, required=True, help="HDF5 file to write, one group for each image.")
    parser.add_argument("--overlay", type=Path | None, default=None, help="Folder for pictures with the keypoints.")
    parser.add_argument("--weights", type=str, default="magicpoint", help="Weights file, run folder, or shipped name.")
    parser.add_class_arguments(DecodeSettings, as_group=False)


def _extract(arguments: Namespace) -> None:
    from .allocator import keep_freed_memory
    from .decode import DecodeSettings
    from .extract import extract_images
    from .feature_files import read_features

    keep_freed_memory()
    extractor = _open_extractor(arguments.weights, DecodeSettings(**_fields(arguments, DecodeSettings)))
    out = extract_images(arguments.images, arguments.out, extractor, arguments.overlay)
    features = read_features(out)
    counts = [len(features[key]) for key in features]
    print(f"{out}: {sum(counts)} keypoints in {len(counts)} images, {len(features.skipped)} skipped")


def _add_match(parser: ArgumentParser, words: Sequence[str]) -> None:
    from .decode import DecodeSettings
    from .match import MatchSettings

    parser.add_argument("image0", type=Path, help="An image.")
    parser.add_argument("image1", type=Path, help="Another, of any other size.")
    parser.add_argument("--out", type=Path, default=Path("matches.png"), help="Picture of the matches to write, PNG.")
    parser.add_argument("--weights", type=str, default="superpoint", help="Weights file, run folder, or shipped name.")
    parser.add_argument(
        "--homography_threshold",
        type=float,
        default=3.0,
        help="Largest distance in image 1, in pixels, of a match that agrees with the homography.",
    )
    parser.add_class_arguments(MatchSettings, as_group=False)
    parser.add_class_arguments(DecodeSettings, as_group=False)


def _match(arguments: Namespace) -> None:
    from .decode import DecodeSettings
    from .match import MatchSettings
    from .match_overlay import match_images

    extractor = _open_extractor(arguments.weights, DecodeSettings(**_fields(arguments, DecodeSettings)))
    settings = MatchSettings(**_fields(arguments, MatchSettings))
    print(
        match_images(
            arguments.image0, arguments.image1, extractor, arguments.out, settings, arguments.homography_threshold
        )
    )


def _add_finetune(parser: ArgumentParser, words: Sequence[str]) -> None:
    from .finetune import FinetuneSettings

    parser.add_argument("images", nargs="+", type=Path, help="Images, and folders to search for images.")
    parser.add_argument(
        "--out", type=Path, required=True, help="Folder to write; the same command goes on with what is there."
    )
    parser.add_class_arguments(FinetuneSettings, as_group=False)


def _finetune(arguments: Namespace) -> None:
    from .allocator import keep_freed_memory
    from .finetune import FinetuneSettings, finetune_images

    keep_freed_memory()
    finetune_images(arguments.images, arguments.out, FinetuneSettings(**_fields(arguments, FinetuneSettings)))


def _open_extractor(weights: str, settings: DecodeSettings | None = None) -> Extractor:
    """The weights that ship under this name, else those of the file or the run's folder at this path."""
    from .extract import Extractor
    from .weight_files import find_weights, pretrained_names

    if weights in pretrained_names():
        return Extractor.from_pretrained(weights, settings)
    return Extractor.from_checkpoint(find_weights(weights), settings)


def _fields(arguments: Namespace, settings: type) -> dict[str, Any]:
    """The arguments that are fields of a dataclass."""
    return {name: arguments[name] for name in settings.__dataclass_fields__}  # type: ignore[attr-defined]


VERBS: dict[str, tuple[str, Adder, Runner]] = {
    "generate": ("Write a dataset of synthetic shapes with sub-pixel labels.", _add_generate, _generate),
    "convert": ("Convert a dataset of the older trainers, whose labels are (row, column).", _add_convert, _convert),
    "train": ("Train a detector on shapes, or a detector and descriptors on labelled images.", _add_train, _train),
    "adapt": ("Label images with a detector by homographic adaptation.", _add_adapt, _adapt),
    "evaluate": (
        "Measure a network beside classical methods, on unseen shapes or on image pairs.",
        _add_evaluate,
        _evaluate,
    ),
    "extract": ("Find the keypoints of images; write them to an HDF5 file.", _add_extract, _extract),
    "match": ("Match two images, find the homography between them, draw both.", _add_match, _match),
    "finetune": ("Train a SuperPoint on a folder of images, label to report, in one go.", _add_finetune, _finetune),
}
