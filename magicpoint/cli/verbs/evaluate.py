"""`magicpoint evaluate`."""

from __future__ import annotations

from pathlib import Path

from jsonargparse import Namespace

from ..options import add_engine, add_weights, open_extractor
from ..output import add_json, show
from ..parser import Parser

SUMMARY = "Measure a network beside classical methods, on unseen shapes or on image pairs."


def add(parser: Parser) -> None:
    from ...data.pinned_images import TEST_IMAGES_PER_SHAPE
    from ...evaluation.methods.opencv import ON_PAIRS, ON_SHAPES
    from ...evaluation.pairs.protocols import PAIRS_PROTOCOLS

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
        "--protocols",
        nargs="+",
        choices=tuple(PAIRS_PROTOCOLS),
        default=list(PAIRS_PROTOCOLS),
        help="homography: which protocols.",
    )
    parser.add_argument(
        "--methods",
        nargs="*",
        default=None,
        help=f"What to compare with; null: all. synthetic: {', '.join(ON_SHAPES)}; homography: {', '.join(ON_PAIRS)}.",
    )
    add_json(parser)


def run(arguments: Namespace) -> None:
    from ...core.machine import keep_freed_memory
    from ...evaluation.pairs.json_file import PAIRS_JSON, pairs_as_plain
    from ...evaluation.pairs.report import format_pairs
    from ...evaluation.shapes.report import SHAPES_JSON, format_shapes, shapes_as_plain
    from ...jobs.evaluate import evaluate_pairs, evaluate_synthetic

    keep_freed_memory()
    synthetic, folder, out = arguments.dataset == "synthetic", arguments.folder, arguments.out
    if synthetic and folder is not None:
        raise ValueError(f"{folder} is for --dataset homography; synthetic shapes are rendered")
    if not synthetic and folder is None:
        raise ValueError("--dataset homography needs the folder of the image pairs")
    chosen = {} if arguments.methods is None else {"methods": arguments.methods}
    name, extractor = Path(arguments.weights).stem, open_extractor(arguments)
    if synthetic:
        shapes = evaluate_synthetic(extractor, out, arguments.images_per_shape, name=name, **chosen)
        show(arguments, f"{format_shapes(shapes)}\n{out / SHAPES_JSON}", shapes_as_plain(shapes))
    else:
        pairs = evaluate_pairs(folder, out, {name: extractor}, protocols=arguments.protocols, **chosen)
        show(arguments, f"{format_pairs(pairs)}\n{out / PAIRS_JSON}", pairs_as_plain(pairs))
