"""Features of files: images, folders and videos."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import InputError
from ..core.files import AnyPath, remove_leftovers_of, target_of
from ..core.locks import locked
from ..core.outputs import check_own, check_writable
from ..core.shards import Shard
from ..core.types import Features
from ..inference.extractor import Extractor
from ..interop.hloc import HLOC_FEATURES
from ..io.earlier import format_outcome
from ..io.features import FEATURES
from ..io.finding import find_images
from ..io.grey import GreyImage
from ..io.images import read_picture
from ..io.layouts import FileLayout
from ..io.masks import find_masks
from ..io.per_image import process_images
from ..io.reading import ImageReading
from ..io.records import Layout, RecordFile
from ..io.unfinished import UnfinishedRecords
from ..pictures.keypoints import KIND, is_overlay, overlay_path, write_overlay

LAYOUTS: dict[FileLayout, Layout[Features]] = {"magicpoint": FEATURES, "hloc": HLOC_FEATURES}
"""What a file of features can be like."""

FEATURES_FILE = "features.h5"
"""What the features are called in a folder of shards, without the numbers."""


@dataclasses.dataclass(frozen=True)
class ExtractResult:
    """What an extraction came to.

    Args:
        path: The file of features.
        images: Number of images, or frames, in it.
        keypoints: Number of their keypoints.
        kept: See `io.earlier.Outcome`; so are all below.
        new: Number of images that had no features before.
        changed: Number of images that had changed.
        dropped: Number of images of the earlier file that this one does not have.
        unread: Why which images could not be read whose earlier features were kept, by key.
        skipped: Why which images could not be read that have none, by key.
    """

    path: Path
    images: int
    keypoints: int
    kept: int
    new: int
    changed: int
    dropped: int
    unread: Mapping[str, str]
    skipped: Mapping[str, str]


def format_extraction(result: ExtractResult) -> str:
    """The result in one line."""
    return f"{result.path}: {result.keypoints} keypoints in {result.images} images ({format_outcome(result)})"


def extract_images(
    paths: Sequence[AnyPath],
    out: AnyPath,
    extractor: Extractor,
    overlay: AnyPath | None = None,
    progress: bool = True,
    masks: AnyPath | None = None,
    append: bool = False,
    prune: bool = False,
    root: AnyPath | None = None,
    layout: FileLayout = "magicpoint",
    shard: Shard | None = None,
) -> ExtractResult:
    """Write the features of images and of all images in folders to one HDF5 file.

    An image that cannot be read keeps its earlier features; without any it is listed in the file (`RecordFile.skipped`)
    and left out; the log says so. A run that was stopped, even killed, goes on where it was when it is started again
    with the same arguments. An older `out` stays until the new one is complete, and for good where it is of other
    weights, settings or versions, or holds other images and neither `append` nor `prune` is asked for. An overlay
    folder inside a searched folder is not searched.

    Args:
        paths: Image files, folders, tar files of images and video files; see `io.finding.find_images` for the keys
            under which images are stored. The frames of a video, which has to be named itself, are stored under
            KEY/000000, KEY/000001, ..., the images in a tar file, see `io.tars`, under KEY/NAME.
        out: The file to write; see `io.features.FORMAT`.
        extractor: It finds the keypoints.
        overlay: A folder for pictures of the keypoints, named as the keys, as PNG.
        progress: Show a progress bar on the standard error.
        masks: A folder of masks, see `io.masks.find_masks`; those beside the images are taken in any case.
        append: Keep the features of an older `out` that are of other images than these.
        prune: Drop them.
        root: The folder from which the keys are paths; None takes the deepest that holds everything asked for.
        layout: hloc writes what its pipelines read, see `interop.hloc`. It sees images as they are stored, so the
            extractor has to read them so: `ImageReading(orientation="stored")`.
        shard: Take this share of the images alone, of tar files this share of the files, into the file
            `shard.path(out, "features.h5")`.

    Raises:
        FileNotFoundError: A path does not exist.
        KeyboardInterrupt: The message says how to go on.
        OSError: A file cannot be written.
        InputError: There is no image, or not one that can be read; a picture would replace what is no such picture;
            a file, finished or not, of other weights, settings, versions or images is there; another process is
            writing it; a tar file is damaged; or hloc would see other images.
    """
    if layout == "hloc" and extractor.reading.orientation != "stored":
        raise InputError("hloc sees images as they are stored, and these would be turned: orientation must be stored")
    images = find_images(paths, skip=[overlay, masks], say_passed_over=True, root=root, tars=True)
    if shard is not None:
        out, images = shard.path(out, FEATURES_FILE), {key: path for key, path in images.items() if shard.has(key)}
    draw = None if overlay is None else partial(_draw, Path(overlay), images, extractor.reading)
    if overlay is not None:
        _check_pictures(images, Path(overlay))

    def process(key: str, image: GreyImage) -> Features:
        return extractor.extract(image)

    of_images = find_masks(images, masks)
    with locked(out):
        remove_leftovers_of(target_of(out))
        unfinished = UnfinishedRecords(out, LAYOUTS[layout], extractor.provenance)
        options: dict[str, Any] = {
            "append": append,
            "prune": prune,
            "is_share": shard is not None,
            "workers": extractor.workers,
        }
        done = process_images(
            images, unfinished, process, draw, progress, True, extractor.reading, of_images, **options
        )
        keypoints = sum(RecordFile(done.path, LAYOUTS[layout]).keypoint_counts().values())
    return ExtractResult(keypoints=keypoints, **vars(done))


def _draw(
    overlay: Path,
    images: Mapping[str, Path],
    reading: ImageReading,
    key: str,
    grey: NDArray[np.float32],
    features: Features,
) -> None:
    path = overlay_path(overlay, key)
    check_own([path], KIND, is_overlay)  # those of a video's frames are not known before
    # A frame of a video has a key of its own, and is there as grey values alone.
    write_overlay(path, read_picture(images[key], reading) if key in images else grey, features)


def _check_pictures(images: dict[str, Path], overlay: Path) -> None:
    sources = set(images.values())
    drawn: dict[Path, str] = {}
    for key in images:
        target = Path(os.path.abspath(overlay_path(overlay, key)))
        if target in sources:
            raise InputError(f"the overlay of {key} would replace the image {target}: choose another overlay folder")
        if target in drawn:
            raise InputError(f"the overlays of {drawn[target]} and {key} would be the same file {target}")
        drawn[target] = key
    check_own(drawn, KIND, is_overlay)
    remove_leftovers_of(*drawn)
    check_writable(overlay)
