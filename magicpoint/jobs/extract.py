"""Features of files: images, folders and videos."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core.errors import InputError
from ..core.files import AnyPath
from ..core.types import Features
from ..inference.extractor import Extractor
from ..io.features import read_features
from ..io.finding import find_images
from ..io.grey import GreyImage
from ..io.masks import find_masks
from ..io.per_image import process_images
from ..io.unfinished import UnfinishedFeatures
from ..pictures.keypoints import overlay_path, write_overlay


@dataclasses.dataclass(frozen=True)
class ExtractResult:
    """What an extraction came to.

    Args:
        path: The file of features.
        images: Number of images, or frames, in it.
        keypoints: Number of their keypoints.
        kept: Number of images whose features were there before.
        changed: Number of images that had changed since the earlier file, which this one replaces.
        skipped: Why which images could not be read, by key.
    """

    path: Path
    images: int
    keypoints: int
    kept: int
    changed: int
    skipped: Mapping[str, str]


def format_extraction(result: ExtractResult) -> str:
    """The result in one line."""
    return f"{result.path}: {result.keypoints} keypoints in {result.images} images, {len(result.skipped)} skipped"


def extract_images(
    paths: Sequence[AnyPath],
    out: AnyPath,
    extractor: Extractor,
    overlay: AnyPath | None = None,
    progress: bool = True,
    masks: AnyPath | None = None,
) -> ExtractResult:
    """Write the features of images and of all images in folders to one HDF5 file.

    An image that cannot be read is reported in the log, listed in the file (`FeatureFile.skipped`) and left
    out. A run that was stopped, even killed, goes on where it was when it is started again with the same arguments. An
    older `out` stays until the new one is complete, and for good where it is of other weights, settings or versions or
    holds other images. An overlay folder inside a searched folder is not searched.

    Args:
        paths: Image files, folders and video files; see `io.finding.find_images` for the keys under which images are
            stored. The frames of a video, which has to be named itself, are stored under KEY/000000, KEY/000001, ...
        out: The file to write; see `io.features.FORMAT`.
        extractor: It finds the keypoints.
        overlay: A folder for pictures of the keypoints, named as the keys, as PNG.
        progress: Show a progress bar on the standard error.
        masks: A folder of masks, see `io.masks.find_masks`; those beside the images are taken in any case.

    Raises:
        FileNotFoundError: A path does not exist.
        KeyboardInterrupt: The message says how to go on.
        OSError: A file cannot be written.
        InputError: There is no image, or not one that can be read; a picture would replace an image or another picture;
            or a file, finished or not, of other weights, settings, versions or images is there.
    """
    images = find_images(paths, skip=[overlay, masks], say_passed_over=True)
    draw = None if overlay is None else partial(_draw, Path(overlay))
    if overlay is not None:
        _check_pictures(images, Path(overlay))
    unfinished = UnfinishedFeatures(out, extractor.provenance)

    def process(key: str, image: GreyImage) -> Features:
        return extractor.extract(image)

    of_images = find_masks(images, masks)
    done = process_images(images, unfinished, process, draw, progress, True, extractor.reading, of_images)
    keypoints = sum(read_features(done.path).keypoint_counts().values())
    return ExtractResult(done.path, done.images, keypoints, done.kept, done.changed, done.skipped)


def _draw(overlay: Path, key: str, grey: NDArray[np.float32], features: Features) -> None:
    write_overlay(overlay_path(overlay, key), grey, features)


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
