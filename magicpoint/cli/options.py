"""What the verbs of the command line share."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

from jsonargparse import Namespace

from ..core.errors import InputError
from ..core.shards import Shard, process_rank
from ..core.switches import HEATMAP_SWITCHES
from .parser import Parser, SettingsFile, presets

if TYPE_CHECKING:
    import torch

    from ..decoding.settings import DecodeSettings
    from ..inference.extractor import Extractor
    from ..io.reading import Orientation
    from ..matching.learned import LearnedMatcher
    from ..matching.nearest import Matching
    from ..matching.settings import LearnedSettings

Settings = TypeVar("Settings")


class UnusableArgument(Exception):
    """An option has a value that it cannot have; the message names both."""


def add_weights(parser: Parser, default: str | None) -> None:
    """The option that `open_extractor` reads; without a default the verb decides."""
    where = "Weights file, run folder, shipped name, or hf:USER/REPOSITORY of the Hugging Face hub."
    if default is None:
        help = f"{where} null: magicpoint for shapes, quads for scenes, verifier for verify, superpoint for all else."
        parser.add_argument("--weights", type=str | None, default=None, help=help)
    else:
        parser.add_argument("--weights", type=str, default=default, help=where)


def add_matcher_name(parser: Parser) -> None:
    """The option that says what matches, alone."""
    parser.add_argument(
        "--matcher",
        type=str,
        default="nearest",
        help="nearest: the nearest descriptors; learned: the matcher that ships for the weights, or the file or the "
        "run's folder of another.",
    )


def add_matcher(parser: Parser) -> None:
    """The options that `open_matching` reads."""
    from ..matching.settings import LearnedSettings, MatchSettings

    add_matcher_name(parser)
    parser.add_class_arguments(MatchSettings, as_group=False)
    parser.add_class_arguments(LearnedSettings, as_group=False)


def open_matching(arguments: Namespace, weights_hash: str | None) -> Matching:
    """How features are to be matched, after `add_matcher`.

    Args:
        arguments: Of the verb.
        weights_hash: Of the weights that make the features; None where that is not known.

    Raises:
        UnusableArgument: An option is given that does nothing with this matcher.
        InputError: There is no such matcher.
    """
    from ..matching.settings import LearnedSettings, MatchSettings

    nearest, learned = MatchSettings(), LearnedSettings()
    is_nearest = arguments.matcher == "nearest"
    idle: MatchSettings | LearnedSettings = learned if is_nearest else nearest
    for field in dataclasses.fields(idle):
        if arguments[field.name] != getattr(idle, field.name):
            kind = "a learned matcher" if is_nearest else "--matcher nearest"
            raise UnusableArgument(f"--{field.name} is of {kind}, and --matcher is {arguments.matcher}")
    if is_nearest:
        return build(MatchSettings, arguments)
    return open_learned(arguments.matcher, weights_hash, build(LearnedSettings, arguments))


def open_learned(matcher: str, weights_hash: str | None, settings: LearnedSettings | None = None) -> LearnedMatcher:
    """The matcher that ships for the weights with a hash, where it is called learned, else that at a path."""
    from ..matching.learned import LearnedMatcher

    if matcher != "learned":
        return LearnedMatcher.load(matcher, settings)
    if weights_hash is None:
        raise UnusableArgument("--matcher learned needs to know the features' weights, which they do not say: name one")
    return LearnedMatcher.for_features(weights_hash, settings)


def add_engine(parser: Parser) -> None:
    """The options of the engine that `open_extractor` reads."""
    from ..inference.backends import ENGINES
    from ..inference.settings import NetworkPrecision

    parser.add_argument("--backend", choices=list(ENGINES), default="torch", help="What runs the network.")
    parser.add_argument(
        "--precision",
        type=NetworkPrecision,
        default="float32",
        help="Number format of the network's layers; auto takes the fastest that keeps 97 % of float32's keypoints "
        "within a pixel, measured once for a network on a machine. float16 is for GPUs, int8 for CPUs.",
    )


def add_device(parser: Parser) -> None:
    """The option that `device_of` reads."""
    parser.add_argument(
        "--device",
        type=str,
        default="auto",
        help="Where the network runs: cpu, cuda, cuda:1 or mps; auto takes CUDA where there is one and the engine runs "
        "there, else the CPU.",
    )


def device_of(arguments: Namespace) -> torch.device | None:
    """The device that was asked for; None leaves the choice to whoever computes.

    Raises:
        InputError: There is no such device; the message names it.
    """
    from ..core.machine import find_device

    return None if arguments.device == "auto" else find_device(arguments.device)


def add_network(parser: Parser, weights: str | None) -> None:
    """The options of a verb that runs a network on images, which `open_extractor` reads."""
    from ..io.reading import ImageReading, Orientation

    add_weights(parser, weights)
    add_device(parser)
    parser.add_class_arguments(ImageReading, as_group=False, skip={"orientation", "read_all"})
    parser.add_argument(
        "--orientation",
        type=Orientation | None,
        default=None,
        help="exif turns an image as its EXIF orientation says, stored leaves it as COLMAP and hloc see it; keypoints "
        "are in pixels of that. null: exif, but stored in what is written for those.",
    )


def add_earlier(parser: Parser) -> None:
    """The options that say what becomes of what the output holds already, and under which keys."""
    parser.add_argument("--append", action="store_true", help="Keep what the output holds of other images than these.")
    parser.add_argument("--prune", action="store_true", help="Drop it.")
    parser.add_argument(
        "--root",
        type=Path | None,
        default=None,
        help="Folder from which the images' keys are paths; null: the deepest that holds all that is asked for.",
    )
    add_read_all(parser)


def add_shard(parser: Parser, help: str | None = None) -> None:
    """The option of a share of the work, which `shard_of` reads; the help is that of a job with a record an image."""
    of_images = (
        "Do this share alone, such as 3/16, counted from 0, into a file of its own, of which --out says the name or "
        "the folder: labels-00003-of-00016.h5; magicpoint merge joins them. Of tar files whole ones. null: all, or "
        "under torchrun the share of the process."
    )
    parser.add_argument("--shard", type=str | None, default=None, help=help or of_images)


def shard_of(arguments: Namespace) -> Shard | None:
    """The share that was asked for, else that of this process of several.

    Raises:
        UnusableArgument: There is no such share.
    """
    if arguments.shard is None:
        return Shard.of_process()
    try:
        return Shard.parse(arguments.shard)
    except InputError as error:
        raise UnusableArgument(f"--{error}") from error


def shows_progress(arguments: Namespace) -> bool:
    """Whether there are bars: not where they were declined, nor of any process of several but the first."""
    return not arguments.quiet and process_rank()[0] == 0


def add_read_all(parser: Parser) -> None:
    """The option of a verb that goes over files again, which `open_extractor` reads."""
    parser.add_argument(
        "--read_all",
        action="store_true",
        help="Read all files again. Otherwise those whose size and times are those of the last run count as unchanged.",
    )


def add_masks(parser: Parser) -> None:
    """The option of a folder of masks."""
    parser.add_argument(
        "--masks",
        type=Path | None,
        default=None,
        help="Folder of masks, black where nothing is wanted: that of sub/a.jpg is sub/a.jpg.png or sub/a.png in it. "
        "Beside an image a.jpg.mask.png or a.mask.png is taken, and what is transparent is masked, in any case.",
    )


def add_resize(parser: Parser) -> None:
    """The options of the sizes at which the network sees images, which `open_extractor` reads."""
    parser.add_argument(
        "--resize",
        type=int | None,
        default=None,
        help="Shrink larger images to this many pixels on the longer side; keypoints stay in pixels of the image as it "
        "is. null: not.",
    )
    parser.add_argument(
        "--scales",
        type=float,
        nargs="+",
        default=[1.0],
        help="Factors on that size at which the network sees an image: 1 0.5 0.25 for images whose scales differ by up "
        "to six.",
    )
    add_heatmap_switches(parser)


def add_heatmap_switches(parser: Parser) -> None:
    """What is done with heatmaps before keypoints are found in them, which `open_extractor` reads."""
    parser.add_argument(
        "--averaged",
        action="store_true",
        help="Find keypoints in the mean of what the network finds at three sizes of an image, each described by the "
        "mean of its descriptors there: more are found again, placed exactly and matched rightly, for 3.5 times the "
        "work.",
    )
    parser.add_argument(
        "--cornerness",
        action="store_true",
        help="Weigh the heatmap by how much the image changes around each pixel: of the best keypoints, where not all "
        "are kept (--max_keypoints), more are found again, placed more exactly. Take it for all images or for none. "
        "Also with --averaged.",
    )


def add_settings_file(parser: Parser) -> None:
    """The options that read settings from a file and show what they are in the end."""
    parser.add_argument("--config", action=SettingsFile, help=f"YAML file, or one of: {', '.join(presets())}.")
    parser.add_argument(
        "--print_config", action="store_true", help="Print the settings that all this gives, as YAML, and exit."
    )


def open_extractor(
    arguments: Namespace, settings: DecodeSettings | None = None, orientation: Orientation = "exif"
) -> Extractor:
    """The weights that ship under the name, else those of the file or the run's folder at the path, on the engine.

    Args:
        arguments: Of the verb.
        settings: None stands for `DecodeSettings()`.
        orientation: How images are read where the arguments do not say it.
    """
    from ..inference.extractor import Extractor
    from ..io.reading import ImageReading

    # A verb without a choice of engines may have a precision of its own, such as that of adaptation.
    engine: dict[str, Any] = {name: arguments[name] for name in ("backend", "precision") if "backend" in arguments}
    if arguments.get("resize") is not None:
        if arguments.resize < 8:
            raise UnusableArgument(f"--resize must be at least 8, got {arguments.resize}")
        engine["longest_side"] = arguments.resize
    if "scales" in arguments:
        engine["scales"] = arguments.scales
    engine |= {name: arguments[name] for name in HEATMAP_SWITCHES if name in arguments}
    if "device" in arguments:
        engine["device"] = device_of(arguments)
        given: dict[str, Any] = {"orientation": arguments.orientation or orientation}
        engine["reading"] = build(ImageReading, arguments, read_all=arguments.get("read_all", False), **given)
    return Extractor.load(arguments.weights, settings, **engine)


def build(settings: type[Settings], values: Namespace, **given: Any) -> Settings:
    """The dataclass of settings whose fields the options are.

    Args:
        settings: The dataclass; its fields that are dataclasses are built from groups of options.
        values: Of the options by name, and others.
        given: Values of fields that come from elsewhere.

    Raises:
        UnusableArgument: The dataclass refuses a value; the message names the option.
    """
    built: Settings = _build(settings, {**values.__dict__, **given}, "")
    return built


def _build(settings: Any, values: dict[str, Any], group: str) -> Any:
    hints, names = get_type_hints(settings), [field.name for field in dataclasses.fields(settings)]
    arguments = {
        name: _build(hints[name], value.__dict__, f"{group}{name}.")
        if isinstance(value := values[name], Namespace)
        else value
        for name in names
    }
    try:
        return settings(**arguments)
    except (TypeError, ValueError) as error:
        # By custom such a message begins with the name of the field.
        if str(error).split(" ")[0].split(".")[0] in names:
            raise UnusableArgument(f"--{group}{error}") from error
        raise UnusableArgument(f"--{group.rstrip('.')}: {error}" if group else str(error)) from error
