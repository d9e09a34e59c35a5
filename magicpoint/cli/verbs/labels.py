"""`magicpoint labels`."""

from __future__ import annotations

from pathlib import Path

from jsonargparse import Namespace

from ..options import build
from ..output import add_json, show
from ..parser import Parser

SUMMARY = "Make labels of images from points of your own: NumPy files, a table, COCO's keypoints."


def add(parser: Parser) -> None:
    from ...io.reading import ImageReading

    parser.add_argument("images", nargs="+", type=Path, help="Images, and folders to search for images.")
    parser.add_argument(
        "--points",
        type=Path,
        required=True,
        help="A folder of .npy files named as the images, each (N, 2), (x, y); a table whose header names image, x and "
        "y; or COCO's JSON of keypoints.",
    )
    parser.add_argument("--out", type=Path, required=True, help="HDF5 file of labels to write.")
    parser.add_argument(
        "--origin",
        choices=("centre", "corner"),
        default="centre",
        help="What is at (0, 0): the centre of the top-left pixel, or its outer corner, as in COLMAP and SVG.",
    )
    parser.add_argument(
        "--masks", type=Path | None, default=None, help="Folder of masks, black where nothing is known of the points."
    )
    parser.add_argument("--overlay", type=Path | None, default=None, help="Folder for sheets of labelled images.")
    add_json(parser)
    parser.add_class_arguments(ImageReading, as_group=False)


def run(arguments: Namespace) -> None:
    from ...adaptation.summary import format_labels
    from ...io.reading import ImageReading
    from ...jobs.labels import label_images

    options = {name: arguments[name] for name in ("origin", "masks", "overlay")}
    reading = build(ImageReading, arguments)
    report = label_images(arguments.images, arguments.points, arguments.out, reading=reading, **options)
    show(arguments, f"{format_labels(report)}\n{arguments.out}", report)
