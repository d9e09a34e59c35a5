"""The files of a dataset: one image and one keypoint file per sample, and `dataset.json`."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from importlib import metadata
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .errors import DatasetError
from .png import png_is_intact

MANIFEST = "dataset.json"
FORMAT = 2
"""Number of the layout that this module writes. It reads 1, too, which said `size` for `size_hw`, and no other."""

# Run lengths only: for these images faster to write and smaller than zlib's string search.
_PNG_OPTIONS = (cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE)


@dataclass(frozen=True)
class Manifest:
    """What `dataset.json` says.

    Args:
        size_hw: Height and width of every image, in pixels.
        splits: Number of samples of each split, in the order in which the digest takes them.
        settings: The settings of a generated dataset, nested; None for a converted one.
        source: What a converted dataset was made from; None for a generated one.
        versions: The versions of the packages that wrote it.
        digest: See `dataset_digest`; None while the dataset is unfinished.
    """

    size_hw: tuple[int, int]
    splits: Mapping[str, int]
    settings: Mapping[str, Any] | None = None
    source: Mapping[str, Any] | None = None
    versions: Mapping[str, str] | None = None
    digest: str | None = None


def installed_versions() -> dict[str, str]:
    """The versions that decide an image's bytes, by package."""
    try:
        own = metadata.version("magicpoint")
    except metadata.PackageNotFoundError:
        own = "source tree"
    return {"magicpoint": own, "numpy": np.__version__, "opencv": cv2.__version__}


def write_manifest(root: Path, manifest: Manifest) -> Path:
    """Writes `dataset.json` and returns its path."""
    path = root / MANIFEST
    text = json.dumps({"format": FORMAT, **asdict(manifest)}, indent=2)
    write_atomically(path, (text + "\n").encode())
    return path


def read_manifest(root: Path) -> Manifest:
    """Reads `dataset.json`.

    Raises:
        FileNotFoundError: There is none in `root`.
        DatasetError: It is not a manifest of this layout.
    """
    path = root / MANIFEST
    if not path.is_file():
        raise FileNotFoundError(f"{root} is no dataset: it has no {MANIFEST}")
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise DatasetError(f"{path} is not JSON: {error}") from error
    form = content.pop("format", None) if isinstance(content, dict) else None
    if form not in (1, FORMAT):
        raise DatasetError(f"{path} is not a dataset description of format 1 or {FORMAT}")
    if form == 1:
        _rename_sizes(content)
    names = {field.name for field in fields(Manifest)}
    if content.keys() != names:
        raise DatasetError(f"{path}: missing or unknown entries: {', '.join(sorted(content.keys() ^ names))}")
    size_hw, splits = content["size_hw"], content["splits"]
    if not (isinstance(size_hw, list) and len(size_hw) == 2 and isinstance(splits, dict)):
        raise DatasetError(
            f"{path}: size_hw must be [height, width] and splits their counts, got {size_hw} and {splits}"
        )
    if not all(isinstance(number, int) for number in (*size_hw, *splits.values())):
        raise DatasetError(f"{path}: size_hw and splits must be whole numbers, got {size_hw} and {splits}")
    return Manifest(**{**content, "size_hw": tuple(size_hw)})


def _rename_sizes(content: dict[str, Any]) -> None:
    """Turns the content of format 1 into that of today."""
    settings = content.get("settings")
    shapes = settings.get("shapes") if isinstance(settings, dict) else None
    for group in (content, shapes):
        if isinstance(group, dict) and "size" in group:
            group["size_hw"] = group.pop("size")


def sample_paths(root: Path, split: str, index: int) -> tuple[Path, Path]:
    """The image and the keypoint file of a sample."""
    return root / split / "images" / f"{index:06d}.png", root / split / "points" / f"{index:06d}.npy"


def make_folders(root: Path, splits: Iterable[str]) -> None:
    """Makes the folders of a dataset and removes the temporary files that a killed process left in them."""
    for folder in (root, *(root / split / kind for split in splits for kind in ("images", "points"))):
        folder.mkdir(parents=True, exist_ok=True)
        for stray in filter(is_temporary, folder.iterdir()):
            stray.unlink()


def is_temporary(path: Path) -> bool:
    """Whether `write_atomically` gives such names to its temporary files."""
    return path.name.startswith(".") and path.name.endswith(".tmp")


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
        DatasetError: A file is damaged, or is not an image of `size_hw` (height, width) or not float32 (N, 2).
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
    return image, keypoints


def read_png(path: Path, flags: int = cv2.IMREAD_UNCHANGED) -> NDArray[Any]:
    """Decodes a PNG file; raises ValueError where a byte of it is missing or wrong."""
    data = path.read_bytes()
    # Decoders differ in what they make of a damaged file: some return the part that they could read.
    if not png_is_intact(data):
        raise DatasetError(f"{path} is truncated, damaged or no PNG file")
    image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if image is None:
        raise DatasetError(f"{path} cannot be decoded")
    return image


def read_npy(path: Path) -> NDArray[Any]:
    """Reads one array without pickles; raises ValueError where the file is damaged or no such array."""
    try:
        return np.lib.format.read_array(io.BytesIO(path.read_bytes()), allow_pickle=False)
    except ValueError as error:
        raise DatasetError(f"{path} is truncated, damaged or no NumPy array: {error}") from error


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
