"""`magicpoint export`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from ..options import UnusableArgument, add_weights, build, open_learned
from ..parser import Parser

SUMMARY = "Write a network for another program (ONNX, transformers)."


def add(parser: Parser) -> None:
    from ...decoding.settings import DecodeSettings
    from ...matching.settings import LearnedSettings

    add_weights(parser, "superpoint")
    parser.add_argument("--out", type=Path, required=True, help="File or folder to write.")
    parser.add_argument(
        "--format",
        type=str,
        default="onnx",
        help="onnx; transformers: a folder for SuperPointForKeypointDetection.from_pretrained; magicleap: a .pth file "
        "under the names of the paper's own release, for networks of width 1.",
    )
    parser.add_argument(
        "--kind",
        type=str | None,
        default=None,
        help="Of an ONNX file: dense, the default, from grey images (B, 1, H, W) in [0, 1], H and W multiples of 8, to "
        "heatmap and descriptor map; keypoints, of any H and W, to keypoints, scores, descriptors and their count, as "
        "the decoding options say, at most 1024 where max_keypoints is null; keypoints_unrolled, the same for runtimes "
        "that know no loops; matches, of two images to their keypoints and matches, and matcher, of features to "
        "matches. The other formats hold weights.",
    )
    parser.add_argument(
        "--matcher",
        type=str,
        default="learned",
        help="For the kinds matches and matcher: learned, the one that ships for the weights, or another's file or "
        "folder.",
    )
    parser.add_class_arguments(LearnedSettings, as_group=False, skip={"stop_share", "prune"})
    parser.add_argument(
        "--precision",
        type=str,
        default="float32",
        help="Number format of the network's layers: float32, or int8 for runtimes with integer convolutions; onnx "
        "alone.",
    )
    parser.add_class_arguments(DecodeSettings, as_group=False)


def run(arguments: Namespace) -> None:
    from ...decoding.settings import DecodeSettings
    from ...export.formats import FORMATS, export_model
    from ...export.onnx import MATCHER_KINDS
    from ...matching.settings import LearnedSettings
    from ...model.weights import load_weights, resolve, weights_hash

    # Not the parser's choices: the table of formats would load torch for a help text.
    known = {
        "format": list(FORMATS),
        "kind": list(dict.fromkeys(kind for format in FORMATS.values() for kind in format.kinds)),
        "precision": list(dict.fromkeys(name for format in FORMATS.values() for name in format.precisions)),
    }
    for name, values in known.items():
        if arguments[name] is not None and arguments[name] not in values:
            raise UnusableArgument(f"--{name} must be {' or '.join(values)}, got {arguments[name]}")
    settings = build(DecodeSettings, arguments)
    model, provenance = load_weights(resolve(arguments.weights).path)
    learned = build(LearnedSettings, arguments, stop_share=None, prune=False)
    matcher = None
    if arguments.kind in MATCHER_KINDS:
        matcher = open_learned(arguments.matcher, weights_hash(model.state_dict()), learned).network
    options: dict[str, Any] = {"precision": arguments.precision, "matcher": matcher, "learned": learned}
    print(export_model(model, arguments.out, arguments.format, arguments.kind, settings, provenance, **options))
