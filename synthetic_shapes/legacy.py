"""Datasets of the older SuperPoint trainers, whose points are (row, column), into this project's layout.

Both rpautrat/SuperPoint and eric-yyjau/pytorch-superpoint write, for each shape, `<shape>.tar.gz` with
`<shape>/images/<split>/<i>.png` and `<shape>/points/<split>/<i>.npy`.
"""

from __future__ import annotations

import lzma
import os
import shutil
import tarfile
import warnings
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from .array_files import read_npy, read_png
from .errors import DatasetError
from .manifest import Manifest, installed_versions
from .parallel import CHUNK_SIZE, run_chunks
from .sample_files import (
    AnyPath,
    dataset_digest,
    inside_image,
    make_folders,
    sample_digest,
    write_manifest,
    write_sample,
)

_MARK = ".magicpoint-conversion"
"""A file that says whose an unfinished folder is."""

_SPLIT_ORDER = {"training": 0, "validation": 1, "test": 2}


@dataclass(frozen=True)
class _LegacySample:
    image: Path
    points: Path
    shape: str
    split: str
    index: int


def convert_legacy_dataset(
    source: AnyPath,
    out: AnyPath,
    drawn_at: tuple[int, int] | None = None,
    workers: int | None = None,
    progress: bool = True,
) -> Path:
    """Converts a dataset of an older trainer into the folder `out`, which appears when it is complete.

    The samples keep their splits, ordered by shape, then by number. Labels whose nearest pixel is outside the image are
    dropped; a warning and `dataset.json` tell how many.

    Args:
        source: A folder of shapes (folders, `.tar.gz` archives or both; of a shape that is there as both, the archive
            is taken), or a single one of them. It is only read.
        out: Must not exist, or be an empty folder.
        drawn_at: Height and width at which the images were drawn, if they were shrunk afterwards (by default the older
            trainers draw at 960x1280 and store 240x320). Shrinking by s, they moved a label k to k * s but its pixel to
            (k + 0.5) * s - 0.5; given the size, the labels are moved by the difference, -0.375 pixels for s = 1 / 4.
            With None they stay as they are.
        workers: Processes; None takes one per usable core.
        progress: Show a progress bar on the standard error.

    Returns:
        The path of `dataset.json`.

    Raises:
        FileNotFoundError: `source` does not exist, or a file of a sample is missing.
        FileExistsError: `out` exists.
        DatasetError: An archive is damaged or holds a path that leaves its folder, a file is damaged, the images differ
            in size, there are no samples, or `out` lies inside `source`.
        OSError: A file cannot be written.
    """
    source, out = Path(source).resolve(), Path(out).resolve()
    _check_folders(source, out)
    if drawn_at is not None and min(drawn_at) < 1:
        raise DatasetError(f"drawn_at must be a height and a width of at least 1 pixel, got {drawn_at}")
    unfinished = _make_unfinished(out)
    try:
        extracted = unfinished / "extracted"
        samples = _list_samples(_find_shapes(source, extracted))
        if not samples:
            raise DatasetError(
                f"{source} holds no <shape>/images/<split>/<i>.png and no <shape>.tar.gz with such images"
            )
        written = _convert(samples, source.name, unfinished, drawn_at, workers, progress)
        shutil.rmtree(extracted, ignore_errors=True)
        (unfinished / _MARK).unlink()
        if out.exists():
            out.rmdir()
        os.replace(unfinished, out)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return out / written.name


def _make_unfinished(out: Path) -> Path:
    """The folder beside the output that becomes it; what a killed process left of one is removed."""
    unfinished = out.with_name(f".{out.name}.unfinished")
    if unfinished.exists():
        if not (unfinished / _MARK).is_file():
            raise FileExistsError(f"{unfinished} is in the way, and not of an earlier conversion: remove it")
        shutil.rmtree(unfinished)
    unfinished.mkdir(parents=True)
    (unfinished / _MARK).touch()
    return unfinished


def _check_folders(source: Path, out: Path) -> None:
    if not source.exists():
        raise FileNotFoundError(f"{source} does not exist")
    if out.is_relative_to(source):
        raise DatasetError(f"{out} lies inside the source {source}, which is only read")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(f"{out} exists: choose another folder")


def _find_shapes(source: Path, extracted: Path) -> dict[str, Path]:
    """The folders of the shapes by name; archives are unpacked into `extracted`."""
    if source.is_dir():
        shapes, archives = _shape_folders(source), sorted(source.glob("*.tar.gz"))
    else:
        shapes, archives = {}, [source]
    for archive in archives:
        folder = extracted / archive.name.removesuffix(".tar.gz")
        folder.mkdir(parents=True)
        _unpack(archive, folder)
        shapes |= _shape_folders(folder)
    return shapes


def _shape_folders(folder: Path) -> dict[str, Path]:
    candidates = [folder, *folder.iterdir()]
    return {path.name: path for path in candidates if (path / "images").is_dir() and (path / "points").is_dir()}


def _unpack(archive: Path, folder: Path) -> None:
    """Unpacks an archive from anywhere: no member may be a device, or leave the folder by its path or a link."""
    if not hasattr(tarfile, "data_filter"):
        raise DatasetError(f"{archive} needs Python 3.11.4 or later, which unpacks safely: unpack it yourself before")
    if not archive.is_file():
        raise DatasetError(f"{archive} is no regular file")
    try:
        with tarfile.open(archive) as members:
            members.extractall(folder, filter=_safe_member)
    except OSError as error:
        raise DatasetError(f"{archive} cannot be unpacked: {error.strerror or error!s:.200}") from error
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DatasetError(f"{archive} is damaged or unsafe: {reason}") from error


def _safe_member(member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo | None:
    """What is unpacked of a member: nothing that leaves the folder, no time, and no more than the disk has room for."""
    free = shutil.disk_usage(folder).free
    if member.size > free:
        raise DatasetError(f"{member.name} has {member.size} bytes, and the disk {free}")
    member = tarfile.data_filter(member, folder)
    # A time that the system cannot set would be an error, and none is of interest.
    return member.replace(mtime=None, deep=False)  # type: ignore[arg-type]


def _list_samples(shapes: Mapping[str, Path]) -> list[_LegacySample]:
    """All samples, by split, then shape, then number; they are numbered anew within each split."""
    found = [
        (split.name, shape, image)
        for shape, folder in shapes.items()
        for split in (folder / "images").iterdir()
        if split.is_dir()
        for image in split.glob("*.png")
    ]
    found.sort(key=lambda item: (_SPLIT_ORDER.get(item[0], len(_SPLIT_ORDER)), *item[:2], _number(item[2])))
    counts: Counter[str] = Counter()
    samples = []
    for split, shape, image in found:
        points = shapes[shape] / "points" / split / f"{image.stem}.npy"
        samples.append(_LegacySample(image, points, shape, split, counts[split]))
        counts[split] += 1
    return samples


def _number(path: Path) -> tuple[int, str]:
    return (int(path.stem) if path.stem.isdecimal() else -1, path.stem)


def _convert(
    samples: Sequence[_LegacySample],
    source_name: str,
    root: Path,
    drawn_at: tuple[int, int] | None,
    workers: int | None,
    progress: bool,
) -> Path:
    """Converts the samples and writes `dataset.json`, whose path it returns."""
    height, width = read_png(samples[0].image, cv2.IMREAD_GRAYSCALE).shape
    splits = dict(Counter(sample.split for sample in samples))
    make_folders(root, splits)
    results = run_chunks(
        partial(_convert_chunk, root, (height, width), drawn_at),
        [samples[start : start + CHUNK_SIZE] for start in range(0, len(samples), CHUNK_SIZE)],
        workers,
        len(samples) if progress else None,
    )
    dropped = sum(count for _, count in results)
    if dropped:
        warnings.warn(f"{dropped} labels outside their images were dropped", stacklevel=3)
    source = {
        "name": source_name,
        "shapes": dict(Counter(sample.shape for sample in samples)),
        "drawn_at": drawn_at,
        "dropped": dropped,
    }
    digest = dataset_digest(splits, (digest for digest, _ in results))
    return write_manifest(
        root, Manifest((height, width), splits, source=source, versions=installed_versions(), digest=digest)
    )


def _convert_chunk(
    root: Path, size_hw: tuple[int, int], drawn_at: tuple[int, int] | None, samples: Sequence[_LegacySample]
) -> list[tuple[bytes, int]]:
    """Converts some samples; returns the digest of each and how many labels it lost."""
    results = []
    for sample in samples:
        image = read_png(sample.image, cv2.IMREAD_GRAYSCALE)
        if image.shape != size_hw:
            raise DatasetError(f"{sample.image} is {image.shape} pixels, the first image is {size_hw}")
        keypoints = _read_points(sample.points, size_hw, drawn_at)
        inside = inside_image(keypoints, size_hw)
        write_sample(root, sample.split, sample.index, image, keypoints[inside])
        results.append((sample_digest(image, keypoints[inside]), int(len(inside) - inside.sum())))
    return results


def _read_points(path: Path, size_hw: tuple[int, int], drawn_at: tuple[int, int] | None) -> NDArray[np.float32]:
    """(row, column) labels of any number type as float32 (N, 2), (x, y)."""
    points = read_npy(path)
    if points.size == 0:
        return np.empty((0, 2), np.float32)
    if points.ndim != 2 or points.shape[1] != 2 or points.dtype.kind not in "fiu":
        raise DatasetError(f"{path}: expected numbers of shape (N, 2), got {points.dtype} {points.shape}")
    rows_columns = points.astype(np.float64)
    if drawn_at is not None:
        rows_columns += 0.5 * np.divide(size_hw, drawn_at) - 0.5
    return rows_columns[:, ::-1].astype(np.float32)
