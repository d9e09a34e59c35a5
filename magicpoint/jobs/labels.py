"""Labels of files from points that are known, of the user's own or of another tool."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from ..adaptation.summary import LabelReport, summarise_labels
from ..core.errors import InputError
from ..core.files import AnyPath, remove_leftovers_of, target_of
from ..core.locks import locked
from ..core.types import Labels
from ..io.finding import find_images
from ..io.grey import GreyImage
from ..io.labels import LABELS, read_labels
from ..io.masks import find_masks
from ..io.per_image import process_images
from ..io.points import ImagePoints, read_points
from ..io.reading import ImageReading
from ..io.unfinished import UnfinishedRecords
from ..pictures.sheets import write_sheets
from .adapt import check_overlay

Origin = Literal["centre", "corner"]
"""What lies at (0, 0): the centre of the top-left pixel, as everywhere here, or its outer corner."""

_SHIFT: dict[Origin, float] = {"centre": 0.0, "corner": -0.5}


def label_images(
    paths: Sequence[AnyPath],
    points: AnyPath,
    out: AnyPath,
    origin: Origin = "centre",
    masks: AnyPath | None = None,
    overlay: AnyPath | None = None,
    reading: ImageReading | None = None,
    progress: bool = True,
) -> LabelReport:
    """Write the labels of images from points that are known for certain.

    Args:
        paths: Image files and folders; see `io.finding.find_images` for the keys under which labels are stored. Images
            of which the points say nothing are left out; one that has no points is labelled as such.
        points: See `io.points.read_points`.
        out: The file to write; see `io.labels.FORMAT`. Every label has the score 1.
        origin: Where the points' (0, 0) is.
        masks: A folder of masks, see `io.masks.find_masks`; those beside the images are taken in any case. Nothing is
            known of what they cover.
        overlay: A folder for sheets of images with their labels, to look at.
        reading: How image files are read.
        progress: Show a progress bar on the standard error.

    Returns:
        What the labels look like; the speed and the warnings of a detector's labels are not told.

    Raises:
        OSError: A file cannot be read or written.
        InputError: A point is outside its image, which is named; or as from `io.points.read_points` and
            `jobs.adapt.adapt_images`.
    """
    if origin not in get_args(Origin):
        raise InputError(f"origin must be {' or '.join(get_args(Origin))}, got {origin!r}")
    out, reading = Path(out), reading or ImageReading()
    images = find_images(paths, skip=[overlay, masks], say_passed_over=True)
    known = read_points(points, images)
    if overlay is not None:
        check_overlay(Path(overlay), images)
    labelled = {key: path for key, path in images.items() if key in known}
    of_images = find_masks(labelled, masks)

    def process(key: str, image: GreyImage) -> Labels:
        return _labels(key, image, known[key], _SHIFT[origin])

    with locked(out):
        remove_leftovers_of(target_of(out))
        unfinished = UnfinishedRecords(out, LABELS, _provenance(known, origin, reading))
        done = process_images(labelled, unfinished, process, progress=progress, reading=reading, masks=of_images)
        labels = read_labels(out)
        if overlay is not None:
            write_sheets(labels, labelled, Path(overlay), reading)
    counts = {name: getattr(done, name) for name in ("kept", "new", "changed", "dropped")}
    return dataclasses.replace(summarise_labels(labels), warnings=(), unread=len(done.unread), **counts)


def _labels(key: str, image: GreyImage, points: ImagePoints, shift: float) -> Labels:
    height, width = image.grey.shape
    if points.image_size not in (None, (width, height)):
        raise InputError(f"{key} is {width}x{height}, and its points are of an image of {points.image_size}")
    keypoints = (points.keypoints + shift).astype(np.float32)
    outside = ~_inside(keypoints, width, height)
    if outside.any():
        x, y = points.keypoints[outside][0]
        turned = _inside(keypoints[:, ::-1], width, height).all()
        hint = ": are x and y exchanged?" if turned else ""
        raise InputError(f"a point of {key} is at ({x:g}, {y:g}), outside its {width}x{height} pixels{hint}")
    mask = np.ones((height, width), np.bool_) if image.mask is None else image.mask
    return Labels(
        torch.from_numpy(keypoints),
        torch.ones(len(keypoints)),
        None,
        (width, height),
        torch.from_numpy(mask),
    )


def _inside(points: NDArray[np.float32], width: int, height: int) -> NDArray[np.bool_]:
    """Which have their nearest pixel in the image."""
    return np.asarray(((points >= -0.5) & (points < (width - 0.5, height - 0.5))).all(1))


def _provenance(known: dict[str, ImagePoints], origin: Origin, reading: ImageReading) -> dict[str, str]:
    digest = hashlib.sha256()
    for key, points in sorted(known.items()):
        digest.update(key.encode() + b"\0" + np.int64(len(points.keypoints)).tobytes() + points.keypoints.tobytes())
    return {
        "labelled_by": "points",
        "points_digest": digest.hexdigest(),
        "origin": origin,
        "range": reading.range,
        "orientation": reading.orientation,
    }
