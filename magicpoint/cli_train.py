"""The verbs that lead from nothing to weights: generate, convert, train, adapt, finetune."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from .cli_shared import add_weights, fields, open_extractor, presets


def add_generate(parser: ArgumentParser, words: Sequence[str]) -> None:
    from synthetic_shapes import PRIMITIVES, DatasetSettings, ShapeSettings

    parser.add_argument("out", type=Path, help="Folder to write; an unfinished one of the same settings is completed.")
    parser.add_class_arguments(DatasetSettings, as_group=False, skip={"shapes"})
    parser.add_argument("--size", type=tuple[int, int], default=ShapeSettings().size, help="Image size, HxW.")
    parser.add_argument(
        "--shapes", nargs="+", choices=tuple(PRIMITIVES), default=list(PRIMITIVES), help="Shapes to draw, in turn."
    )
    parser.add_argument("--workers", type=int | None, default=None, help="Processes; null: one per core.")


def generate(arguments: Namespace) -> None:
    from synthetic_shapes import DatasetSettings, ShapeSettings, generate_dataset

    settings = DatasetSettings(
        count=arguments.count,
        validation_count=arguments.validation_count,
        test_count=arguments.test_count,
        seed=arguments.seed,
        shapes=ShapeSettings(arguments.size, tuple(arguments.shapes)),
    )
    print(generate_dataset(arguments.out, settings, workers=arguments.workers))


def add_convert(parser: ArgumentParser, words: Sequence[str]) -> None:
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


def convert(arguments: Namespace) -> None:
    from synthetic_shapes import convert_legacy_dataset

    print(convert_legacy_dataset(arguments.source, arguments.out, drawn_at=arguments.drawn_size))


def add_train(parser: ArgumentParser, words: Sequence[str]) -> None:
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


def train(arguments: Namespace) -> None:
    from .allocator import keep_freed_memory
    from .config import TrainSettings
    from .train import train_model

    keep_freed_memory()
    settings = TrainSettings(**{**fields(arguments, TrainSettings), "images": tuple(arguments.images)})
    print(train_model(arguments.out, settings, resume=arguments.resume))


def add_adapt(parser: ArgumentParser, words: Sequence[str]) -> None:
    from .pseudo_label import AdaptationSettings

    parser.add_argument("images", nargs="+", type=Path, help="Images, and folders to search for images.")
    parser.add_argument(
        "--out", type=Path, required=True, help="HDF5 file of labels to write; a report goes beside it."
    )
    parser.add_argument("--overlay", type=Path | None, default=None, help="Folder for sheets of labelled images.")
    add_weights(parser, "magicpoint")
    parser.add_class_arguments(AdaptationSettings, as_group=False)


def adapt(arguments: Namespace) -> None:
    from .allocator import keep_freed_memory
    from .pseudo_label import AdaptationSettings, adapt_images

    keep_freed_memory()
    settings = AdaptationSettings(**fields(arguments, AdaptationSettings))
    extractor = open_extractor(arguments)
    print(adapt_images(arguments.images, arguments.out, extractor, settings, arguments.overlay))


def add_finetune(parser: ArgumentParser, words: Sequence[str]) -> None:
    from .finetune import FinetuneSettings

    parser.add_argument("images", nargs="+", type=Path, help="Images, and folders to search for images.")
    parser.add_argument(
        "--out", type=Path, required=True, help="Folder to write; one that was begun goes on with its settings."
    )
    parser.add_class_arguments(FinetuneSettings, as_group=False)
    # What is not said anew is as the folder was begun.
    folders = [Path(after) for word, after in pairwise(words) if word == "--out"]
    parser.default_config_files = [str(folder / "settings.yaml") for folder in folders if folder.is_dir()]


def finetune(arguments: Namespace) -> None:
    from .allocator import keep_freed_memory
    from .finetune import FinetuneSettings, finetune_images

    keep_freed_memory()
    finetune_images(arguments.images, arguments.out, FinetuneSettings(**fields(arguments, FinetuneSettings)))
