"""The files of a dataset: one image and one keypoint file per sample."""

from __future__ import annotations

import hashlib
import io
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from .array_files import read_npy, read_png
from .errors import DatasetError
from .manifest import MANIFEST, Manifest, manifest_text

AnyPath = str | os.PathLike[str]
"""What public functions take for a path."""

# Run lengths only: for these images faster to write and smaller than zlib's string search.
_PNG_OPTIONS = (cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE)

_TEMPORARY = re.compile(rf"\.({re.escape(MANIFEST)}|\d{{6,}}\.(png|npy))\.\d+\.tmp")


def write_manifest(root: Path, manifest: Manifest) -> Path:
    """Writes `dataset.json` and returns its path."""
    path = root / MANIFEST
    write_atomically(path, manifest_text(manifest).encode())
    return path


def sample_paths(root: Path, split: str, index: int) -> tuple[Path, Path]:
    """The image and the keypoint file of a sample."""
    return root / split / "images" / f"{index:06d}.png", root / split / "points" / f"{index:06d}.npy"


def make_folders(root: Path, splits: Iterable[str], tidy: bool = True) -> None:
    """Makes the folders of a dataset and, to be tidy, removes temporary files that a killed process left in them."""
    for folder in (root, *(root / split / kind for split in splits for kind in ("images", "points"))):
        folder.mkdir(parents=True, exist_ok=True)
        for stray in filter(is_temporary, folder.iterdir()) if tidy else ():
            stray.unlink()


def is_temporary(path: Path) -> bool:
    """Whether it is what `write_atomically` calls the beginning of a file of a dataset."""
    return _TEMPORARY.fullmatch(path.name) is not None and path.is_file() and not path.is_symlink()


def write_atomically(path: Path, data: bytes) -> None:
    """Writes a file that is there in full or not at all.

    Raises:
        OSError: Writing failed; the error names `path`, a file that was there before is as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def write_sample(root: Path, split: str, index: int, image: NDArray[np.uint8], keypoints: NDArray[np.float32]) -> None:
    """Writes the two files of a sample: a grey PNG and a float32 (N, 2) array of (x, y)."""
    image_path, points_path = sample_paths(root, split, index)
    encoded, png = cv2.imencode(".png", image, _PNG_OPTIONS)
    if not encoded:
        raise ValueError(f"cannot encode an image of shape {image.shape} for {image_path}")
    npy = io.BytesIO()
    np.save(npy, np.ascontiguousarray(keypoints, np.float32), allow_pickle=False)
    write_atomically(image_path, png.tobytes())
    write_atomically(points_path, npy.getvalue())


def read_sample(
    root: Path, split: str, index: int, size_hw: tuple[int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Reads a sample as it is stored: uint8 (H, W) and float32 (N, 2), (x, y).

    Raises:
        FileNotFoundError: A file is missing.
        DatasetError: A file is damaged, or is not an image of `size_hw` (height, width) or not float32 (N, 2) of
            finite numbers.
    """
    image_path, points_path = sample_paths(root, split, index)
    image = read_png(image_path)
    if image.dtype != np.uint8 or image.shape != size_hw:
        raise DatasetError(
            f"{image_path}: expected a grey 8-bit image of shape {size_hw}, got {image.shape} {image.dtype}"
        )
    keypoints = read_npy(points_path)
    if keypoints.dtype != np.float32 or keypoints.ndim != 2 or keypoints.shape[1] != 2:
        raise DatasetError(f"{points_path}: expected float32 (N, 2), got {keypoints.dtype} {keypoints.shape}")
    if not np.isfinite(keypoints).all():
        raise DatasetError(f"{points_path}: a keypoint is not a number")
    return image, keypoints


def inside_image(keypoints: NDArray[np.floating], size_hw: tuple[int, int]) -> NDArray[np.bool_]:
    """Which (N, 2) keypoints, (x, y), have their nearest pixel in an image of a height and width: bool (N,)."""
    height, width = size_hw
    nearest = np.floor(keypoints + 0.5)
    inside: NDArray[np.bool_] = ((nearest >= 0) & (nearest < (width, height))).all(1)
    return inside


def sample_digest(image: NDArray[np.uint8], keypoints: NDArray[np.float32]) -> bytes:
    """SHA-256 of height, width and N (little-endian int64), the pixels and the keypoints (little-endian float32)."""
    shape = np.array((*image.shape, len(keypoints)), "<i8")
    return hashlib.sha256(shape.tobytes() + image.tobytes() + keypoints.astype("<f4").tobytes()).digest()


def dataset_digest(splits: Mapping[str, int], sample_digests: Iterable[bytes]) -> str:
    """Hexadecimal SHA-256 of each split's name (UTF-8) followed by the digests of its samples, all in order.

    It depends on what the samples show, not on how the PNG files are compressed.
    """
    digest, samples = hashlib.sha256(), iter(sample_digests)
    for split, count in splits.items():
        digest.update(split.encode())
        for _ in range(count):
            digest.update(next(samples))
    return digest.hexdigest()
