"""`magicpoint evaluate`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from jsonargparse import Namespace

from ...core.switches import HEATMAP_SWITCHES
from ..options import (
    UnusableArgument,
    add_engine,
    add_heatmap_switches,
    add_network,
    add_shard,
    open_extractor,
    open_learned,
    shard_of,
    shows_progress,
)
from ..output import add_json, show
from ..parser import Parser

if TYPE_CHECKING:
    from ...inference.extractor import Extractor
    from ...matching.nearest import Matching

SUMMARY = (
    "Measure a network beside classical methods, on unseen shapes, labelled images, image pairs or rendered rooms."
)


PAIRS, ROOMS, CHANGED = "homography", "interiors", "robustness"
PLANAR = ("scenes", "verify")
DATASETS = ("synthetic", PAIRS, ROOMS, CHANGED, "labels", *PLANAR)
OF_FOLDERS = (PAIRS, ROOMS, CHANGED)


class Option(NamedTuple):
    """An option of some datasets: of which, and what the parser is told of it."""

    datasets: tuple[str, ...]
    default: Any
    help: str
    how: dict[str, Any]


def options() -> dict[str, Option]:
    """By name, what some of the datasets have and the others refuse."""
    from ...data.pinned_images import TEST_IMAGES_PER_SHAPE as PINNED
    from ...evaluation.pairs.protocols import PAIRS_PROTOCOLS
    from ...evaluation.robustness.changes import CHANGES
    from ...evaluation.robustness.results import RobustnessProtocol

    def option(datasets: tuple[str, ...], default: Any, help: str, **how: Any) -> Option:
        return Option(datasets, default, help, how)

    number: dict[str, Any] = {"type": int}
    paths: dict[str, Any] = {"nargs": "*", "type": Path}
    photographs = RobustnessProtocol.photographs
    return {
        "images_per_shape": option(
            ("synthetic",),
            PINNED,
            f"images of each shape and condition; the pinned test set has {PINNED}.",
            **number,
        ),
        "protocols": option(
            (PAIRS,), None, "which; null: all, or none with --keypoints.", nargs="+", choices=tuple(PAIRS_PROTOCOLS)
        ),
        "images": option(("labels",), [], "images, and folders to search.", **paths),
        "labels": option(("labels",), None, "of these images, as magicpoint labels writes them.", type=Path | None),
        "holdout": option(
            ("labels", "verify"),
            None,
            "take those images alone that a training with this holdout does not train on; null: all.",
            type=float | None,
        ),
        "rooms": option((ROOMS,), 100, "number of pairs, each of a room of its own.", **number),
        "photographs": option(
            (CHANGED,), photographs, "at most this many of those that there are, evenly through their names.", **number
        ),
        "changes": option((CHANGED,), list(CHANGES), "which.", nargs="+", choices=tuple(CHANGES)),
        "templates": option(PLANAR, [], "images of what is to be found; none: boards.", **paths),
        "backgrounds": option(PLANAR, [], "images behind it.", **paths),
        "scenes": option(("scenes",), 200, "so many.", **number),
        "pairs": option(("verify",), 600, "so many.", **number),
        "matchers": option(
            (PAIRS, ROOMS),
            [],
            "ways to match the network's keypoints, each a row with precision, recall and time: nearest, ratio "
            "(nearest with Lowe's test at 0.8), learned, or the file or run's folder of a matcher. None: nearest.",
            nargs="*",
        ),
        "keypoints": option(
            (PAIRS,),
            [],
            "numbers of keypoints, each a protocol at 480x640 in place of those that are not said.",
            nargs="*",
            type=int,
        ),
    }


def add(parser: Parser) -> None:
    parser.add_argument(
        "folder",
        nargs="?",
        type=Path | None,
        help="homography: image pairs in the HPatches layout; interiors: photographs for the walls of rooms; "
        "robustness: photographs to change.",
    )
    add_network(parser, None)
    add_engine(parser)
    add_heatmap_switches(parser)
    parser.add_argument(
        "--dataset",
        choices=DATASETS,
        default=None,
        help="Rendered shapes, image pairs whose homography is known, rooms rendered with known depth and poses, "
        "photographs under one change at a time, images with labels, or rendered scenes with planar things in them (of "
        "a detector of quadrilaterals), or pairs of templates and what scenes show (of a verifier); null: what else "
        "is given tells.",
    )
    parser.add_argument("--out", type=Path, required=True, help="Folder for the tables, the JSON file and the plots.")
    for name, option in options().items():
        of = " and ".join(option.datasets)
        parser.add_argument(f"--{name}", default=option.default, help=f"{of}: {option.help}", **option.how)
    parser.add_argument(
        "--methods",
        nargs="*",
        default=None,
        # The tables of methods would load torch for a help text.
        help="What to compare with; null: all. synthetic and labels: fast, harris, shi-tomasi, orb, sift; homography "
        "and robustness: these, akaze where OpenCV has it, and random; interiors: those of these with descriptors; "
        "scenes: contours, sift, superpoint-small, locate; verify: correlation, pooled, keypoints.",
    )
    add_shard(
        parser,
        "homography: take this share of the scenes alone, such as 3/16, counted from 0, into "
        "homography-00003-of-00016.json in --out; magicpoint merge joins them to the report. null: all, or under "
        "torchrun the share of the process.",
    )
    add_json(parser)


def run(arguments: Namespace) -> None:
    from ...core.machine import keep_freed_memory

    keep_freed_memory()
    dataset = _dataset(arguments)
    _check_options(arguments, dataset)
    if dataset in _PLANAR:
        _PLANAR[dataset](arguments)
        return
    if arguments.weights is None:
        arguments.weights = "magicpoint" if dataset == "synthetic" else "superpoint"
    name, extractor = Path(arguments.weights).stem, open_extractor(arguments)
    name = ", ".join([name, *(switch for switch in HEATMAP_SWITCHES if arguments[switch])])
    evaluations = {
        "synthetic": _synthetic,
        "homography": _homography,
        "interiors": _interiors,
        "robustness": _robustness,
        "labels": _labels,
    }
    evaluations[dataset](arguments, name, extractor)


def _dataset(arguments: Namespace) -> str:
    """That was named, else that of which a folder or labels are given."""
    if arguments.dataset is not None:
        return str(arguments.dataset)
    if arguments.labels is not None or arguments.images:
        return "labels"
    return "synthetic" if arguments.folder is None else PAIRS


def _check_options(arguments: Namespace, dataset: str) -> None:
    """Refuses by its name what the dataset does not have, and what it lacks."""
    for name, option in options().items():
        if dataset not in option.datasets and arguments[name] != option.default:
            raise UnusableArgument(f"--{name} is of --dataset {' and '.join(option.datasets)}, not {dataset}")
    if dataset in PLANAR:
        plain = Parser()
        add_network(plain, None)
        add_engine(plain)
        add_heatmap_switches(plain)
        for name, default in plain.get_defaults().items():
            if name != "weights" and arguments[name] != default:
                got = "" if arguments[name] is True else f", got {arguments[name]}"
                raise UnusableArgument(f"--{name} is not of --dataset {dataset}{got}")
    if dataset not in OF_FOLDERS and arguments.folder is not None:
        hint = "labelled images are given with --images" if dataset == "labels" else "shapes and scenes are rendered"
        raise UnusableArgument(f"{arguments.folder} is for --dataset homography, interiors or robustness; {hint}")
    if dataset in OF_FOLDERS and arguments.folder is None:
        raise UnusableArgument(f"--dataset {dataset} needs a folder of images")
    if dataset == "labels" and (arguments.labels is None or not arguments.images):
        raise UnusableArgument("--dataset labels needs --images and --labels")
    if arguments.holdout is not None and not 0 < arguments.holdout < 1:
        raise UnusableArgument(f"--holdout must be in (0, 1), got {arguments.holdout}")
    if dataset != PAIRS and shard_of(arguments) is not None:
        raise UnusableArgument(f"--shard, and several processes, are for --dataset homography, not {dataset}")


def _scenes(arguments: Namespace) -> None:
    from ...jobs.scenes import SCENE_METHODS, evaluate_scenes
    from ...jobs.scenes_report import SCENES_JSON, format_scenes
    from ...planar.evaluation import ScenesProtocol

    if arguments.scenes < 1:
        raise UnusableArgument(f"--scenes must be at least 1, got {arguments.scenes}")
    found = evaluate_scenes(
        arguments.weights or "quads",
        arguments.out,
        arguments.templates,
        arguments.backgrounds,
        _methods(arguments, SCENE_METHODS),
        ScenesProtocol(count=arguments.scenes),
        progress=not arguments.quiet,
    )
    show(arguments, f"{format_scenes(found)}\n{arguments.out / SCENES_JSON}", found)


def _verify(arguments: Namespace) -> None:
    from ...jobs.verify import VERIFY_JSON, VERIFY_METHODS, evaluate_verifier, format_verify
    from ...planar.verify.evaluation import PairsProtocol

    if arguments.pairs < 12:
        raise UnusableArgument(f"--pairs must be at least 12, got {arguments.pairs}")
    found = evaluate_verifier(
        arguments.weights or "verifier",
        arguments.out,
        arguments.templates,
        arguments.backgrounds,
        _methods(arguments, VERIFY_METHODS),
        PairsProtocol(count=arguments.pairs),
        arguments.holdout,
        progress=not arguments.quiet,
    )
    show(arguments, f"{format_verify(found)}\n{arguments.out / VERIFY_JSON}", found)


_PLANAR = {"scenes": _scenes, "verify": _verify}


def _synthetic(arguments: Namespace, name: str, extractor: Extractor) -> None:
    from ...evaluation.methods.opencv import ON_SHAPES
    from ...evaluation.shapes.report import SHAPES_JSON, format_shapes, shapes_as_plain
    from ...jobs.evaluate import evaluate_synthetic

    methods = _methods(arguments, ON_SHAPES)
    shapes = evaluate_synthetic(
        extractor, arguments.out, arguments.images_per_shape, methods, name=name, progress=not arguments.quiet
    )
    show(arguments, f"{format_shapes(shapes)}\n{arguments.out / SHAPES_JSON}", shapes_as_plain(shapes))


def _labels(arguments: Namespace, name: str, extractor: Extractor) -> None:
    from ...evaluation.labels.report import LABELS_JSON, format_labels_evaluation, labels_as_plain
    from ...evaluation.methods.opencv import ON_SHAPES
    from ...jobs.evaluate import evaluate_labels

    options = {"holdout": arguments.holdout, "methods": _methods(arguments, ON_SHAPES), "name": name}
    found = evaluate_labels(extractor, arguments.images, arguments.labels, arguments.out, **options)
    show(arguments, f"{format_labels_evaluation(found)}\n{arguments.out / LABELS_JSON}", labels_as_plain(found))


def _homography(arguments: Namespace, name: str, extractor: Extractor) -> None:
    from ...evaluation.methods.opencv import ON_PAIRS
    from ...evaluation.pairs.json_file import PAIRS_JSON, pairs_as_plain
    from ...evaluation.pairs.protocols import PAIRS_PROTOCOLS
    from ...evaluation.pairs.report import format_pairs
    from ...jobs.evaluate import evaluate_pairs

    methods = _methods(arguments, ON_PAIRS)
    shard = shard_of(arguments)
    options: dict[str, Any] = {"reading": extractor.reading, "progress": shows_progress(arguments), "shard": shard}
    options |= {"matchers": _matchers(arguments, extractor), "keypoints": arguments.keypoints}
    default = [] if arguments.keypoints else list(PAIRS_PROTOCOLS)
    protocols = default if arguments.protocols is None else arguments.protocols
    pairs = evaluate_pairs(arguments.folder, arguments.out, {name: extractor}, methods, protocols, **options)
    text = f"{format_pairs(pairs)}\n{arguments.out / PAIRS_JSON}"
    if shard is not None:
        text = f"{arguments.out / shard.name(PAIRS_JSON)}: {pairs.pair_count} pairs of {len(pairs.sequences)} scenes"
    show(arguments, text, pairs_as_plain(pairs))


def _interiors(arguments: Namespace, name: str, extractor: Extractor) -> None:
    from ...evaluation.interiors.report import INTERIORS_JSON, format_interiors
    from ...evaluation.interiors.results import InteriorsProtocol
    from ...jobs.evaluate import DESCRIBING, evaluate_interiors

    methods, protocol = _methods(arguments, DESCRIBING), InteriorsProtocol(rooms=arguments.rooms)
    options: dict[str, Any] = {"reading": extractor.reading, "progress": not arguments.quiet}
    options["matchers"] = _matchers(arguments, extractor)
    rooms = evaluate_interiors(arguments.folder, arguments.out, {name: extractor}, methods, protocol, **options)
    show(arguments, f"{format_interiors(rooms)}\n{arguments.out / INTERIORS_JSON}", rooms)


def _robustness(arguments: Namespace, name: str, extractor: Extractor) -> None:
    from ...evaluation.methods.opencv import ON_PAIRS
    from ...evaluation.robustness.report import ROBUSTNESS_JSON, format_robustness
    from ...evaluation.robustness.results import RobustnessProtocol
    from ...jobs.evaluate import evaluate_changed

    methods = _methods(arguments, ON_PAIRS)
    protocol = RobustnessProtocol(photographs=arguments.photographs, changes=tuple(arguments.changes))
    options: dict[str, Any] = {"reading": extractor.reading, "progress": not arguments.quiet}
    found = evaluate_changed(arguments.folder, arguments.out, {name: extractor}, methods, protocol, **options)
    show(arguments, f"{format_robustness(found)}\n{arguments.out / ROBUSTNESS_JSON}", found)


def _matchers(arguments: Namespace, extractor: Extractor) -> dict[str, Matching]:
    """By the names of their rows."""
    from ...matching.settings import MatchSettings

    known: dict[str, Matching] = {"nearest": MatchSettings(), "ratio": MatchSettings(ratio=0.8)}
    return {
        Path(name).stem: known[name] if name in known else open_learned(name, extractor.weights_hash)
        for name in arguments.matchers
    }


def _methods(arguments: Namespace, all_methods: Iterable[str]) -> list[str]:
    """Those that were asked for, else all."""
    return list(all_methods) if arguments.methods is None else arguments.methods
