"""Datasets of synthetic shapes on disk: settings in, a folder out, and the reader of such a folder.

The folder holds `<split>/images/000000.png` (8-bit grey), `<split>/points/000000.npy` (float32 (N, 2), (x, y), the
centre of the top-left pixel being (0, 0)) and `dataset.json`.
"""

from __future__ import annotations

import json
import operator
import shutil
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, SupportsIndex

import numpy as np
from numpy.typing import NDArray

from .errors import DatasetError
from .manifest import MANIFEST, Manifest, installed_versions, read_manifest
from .parallel import CHUNK_SIZE, run_chunks
from .sample import Sample, ShapeSettings, render_sample
from .sample_files import (
    AnyPath,
    dataset_digest,
    inside_image,
    is_temporary,
    make_folders,
    read_sample,
    sample_digest,
    sample_paths,
    write_manifest,
    write_sample,
)

MOST_SAMPLES = 10**8
"""Of one split."""

LARGEST_SEED = 2**64 - 1

LEAST_FILES_BYTES = 1024
"""What the two files of a sample take beside the grey values; measured are 4 to 8 KB of an image of 120x160."""

Span = tuple[str, int, int]
"""A split and its samples from the first index up to, and without, the second."""


@dataclass(frozen=True)
class DatasetSettings:
    """What a dataset of synthetic shapes consists of.

    The splits have counts of their own, so that the validation and test images of a seed stay the same however many
    training images there are. A larger count keeps the samples of a smaller one.

    Args:
        count: Training images.
        validation_count: Validation images.
        test_count: Test images.
        seed: Decides every image; the same seed gives different images in each split.
        shapes: What is rendered.

    Raises:
        TypeError: A count or the seed is not a whole number.
        ValueError: One of them is negative or too large, or there is no image at all.
    """

    count: int = 10_000
    validation_count: int = 500
    test_count: int = 500
    seed: int = 0
    shapes: ShapeSettings = field(default_factory=ShapeSettings)

    def __post_init__(self) -> None:
        for name in ("count", "validation_count", "test_count", "seed"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool):
                raise TypeError(f"{name} must be a whole number, got {value!r}")
            most = LARGEST_SEED if name == "seed" else MOST_SAMPLES
            if not 0 <= value <= most:
                raise ValueError(f"{name} must be from 0 to {most}, got {_in_words(value)}")
        if not isinstance(self.shapes, ShapeSettings):
            raise TypeError(f"shapes must be ShapeSettings, got {self.shapes!r:.80}")
        if not any(self.splits.values()):
            raise ValueError("count, validation_count and test_count are all 0: there is nothing to generate")

    @property
    def splits(self) -> dict[str, int]:
        """The number of samples of each split, without the empty ones."""
        counts = {"training": self.count, "validation": self.validation_count, "test": self.test_count}
        return {split: count for split, count in counts.items() if count != 0}


def generate_dataset(
    out: AnyPath,
    settings: DatasetSettings,
    workers: int | None = None,
    progress: bool = True,
    share: tuple[int, int] | None = None,
) -> Path:
    """Renders a dataset into the folder `out`.

    The samples depend on the settings alone. A run that was stopped, in whatever way, is continued by the same call:
    samples that are there are read back, missing and damaged ones are rendered again. Start it from a script only
    below `if __name__ == "__main__":`, since it starts processes, and one run at a time in a folder.

    Args:
        out: Made where it does not exist.
        settings: What to render.
        workers: Processes; None takes one per usable core.
        progress: Show a progress bar on the standard error.
        share: Render this share of the samples alone, a number counted from 0 and of how many, while other processes
            render theirs in the same folder. A last call without it finishes the dataset.

    Returns:
        The path of `dataset.json`, whose digest is null until a call without a share found all samples there.

    Raises:
        DatasetError: `out` holds a dataset of other settings, or half of one from other versions; the message names
            what differs, and nothing is changed. Or a finished dataset no longer has its digest, or the disk is smaller
            than the dataset.
        FileExistsError: `out` is a file, or a folder with something else in it.
        OSError: A file cannot be written (the error names it); everything written before stays usable.
    """
    root = Path(out)
    manifest = Manifest(
        size_hw=settings.shapes.size_hw,
        splits=settings.splits,
        settings=json.loads(json.dumps(asdict(settings))),  # in the form in which they are read back
        versions=installed_versions(),
    )
    _check_space(root, settings)
    existing = _existing_manifest(root)
    if existing is None:
        root.mkdir(parents=True, exist_ok=True)
        write_manifest(root, manifest)
    else:
        _check_same_dataset(root, existing, manifest)
    make_folders(root, settings.splits, tidy=share is None)  # else they may be of other processes at work
    number, count = share or (0, 1)
    if not 0 <= number < count:
        raise DatasetError(f"share must be a number from 0 to less than its count, got {number} of {count}")
    spans = _spans(settings.splits)[number::count]
    total = sum(stop - start for _, start, stop in spans)
    samples = run_chunks(partial(_complete_span, root, settings), spans, workers, total if progress else None)
    if share is not None:
        return root / MANIFEST
    digest = dataset_digest(settings.splits, samples)
    if existing is not None and existing.digest is not None:
        _check_digest(root, existing.digest, digest)
        return root / MANIFEST
    return write_manifest(root, replace(manifest, digest=digest))


class ShapesDataset:
    """Reads one split of a dataset that `generate_dataset` or `convert_legacy_dataset` wrote.

    `len(dataset)` is the number of samples; `dataset[i]` is a `Sample`. Keypoints whose nearest pixel is outside
    the image are left out, with one warning for each reader that names the first such file. Files are opened when they
    are asked for, so that a reader can be sent to other processes.

    Attributes:
        root: The folder.
        split: The name of the split.
        size_hw: Height and width of every image.
        settings: What the dataset was generated from; None for a converted one.
        digest: Hexadecimal SHA-256 of all samples of all splits.
    """

    def __init__(self, root: AnyPath, split: str) -> None:
        """Opens a split.

        Raises:
            FileNotFoundError: `root` has no dataset.json.
            DatasetError: The dataset is unfinished, has no such split, or its dataset.json is damaged or says something
                else than its settings or the number of the files of the split.
        """
        self.root = Path(root)
        self.split = split
        manifest = read_manifest(self.root)
        if manifest.digest is None:
            raise DatasetError(f"{self.root} is unfinished: generate it again with the same settings to complete it")
        if split not in manifest.splits:
            raise DatasetError(f"{self.root} has no split {split!r}: choose from {', '.join(manifest.splits)}")
        self.size_hw = manifest.size_hw
        self.settings = None if manifest.settings is None else _read_settings(self.root, manifest.settings)
        self.digest = manifest.digest
        self._splits = dict(manifest.splits)
        self._warned = False
        self._check_files()

    def _check_files(self) -> None:
        if self.settings is not None and (self.settings.shapes.size_hw, self.settings.splits) != (
            self.size_hw,
            {name: count for name, count in self._splits.items() if count},
        ):
            raise DatasetError(f"{self.root / MANIFEST}: size_hw and splits are not those of the settings beside them")
        for kind, pattern in (("images", "*.png"), ("points", "*.npy")):
            folder = self.root / self.split / kind
            found = sum(1 for path in folder.glob(pattern) if not is_temporary(path))
            if found != len(self):
                paths = (sample_paths(self.root, self.split, index)[kind == "points"] for index in range(len(self)))
                missing = next((f": {path.name} is missing" for path in paths if not path.exists()), "")
                raise DatasetError(f"{folder} has {found} files {pattern}, {MANIFEST} says {len(self)}{missing}")

    def __len__(self) -> int:
        return self._splits[self.split]

    def __getitem__(self, index: SupportsIndex) -> Sample:
        image, keypoints, dropped = self.read(index)
        if dropped and not self._warned:
            self._warned = True
            path = sample_paths(self.root, self.split, operator.index(index) % len(self))[1]
            warnings.warn(f"{path}: {dropped} keypoints outside the image are left out", stacklevel=2)
        return Sample(image, keypoints)

    def read(self, index: SupportsIndex) -> tuple[NDArray[np.uint8], NDArray[np.float32], int]:
        """The image and the keypoints of a sample, and how many keypoints outside the image were left out.

        Raises:
            IndexError: There is no such sample.
            FileNotFoundError: One of its files is missing.
            DatasetError: One of its files is damaged, or holds something else than the layout asks for.
        """
        number = operator.index(index)
        if not -len(self) <= number < len(self):
            raise IndexError(f"sample {number} of split {self.split!r}, which has {len(self)}")
        image, keypoints = read_sample(self.root, self.split, number % len(self), self.size_hw)
        inside = inside_image(keypoints, self.size_hw)
        return image, keypoints[inside], int(len(inside) - inside.sum())

    def verify(self, workers: int | None = None, progress: bool = False) -> None:
        """Reads all samples of all splits and compares their digest with the recorded one.

        Raises:
            FileNotFoundError: A file is missing.
            DatasetError: A file is damaged (the message names it), or the digest is another.
        """
        total = sum(self._splits.values()) if progress else None
        samples = run_chunks(partial(_digest_span, self.root, self.size_hw), _spans(self._splits), workers, total)
        _check_digest(self.root, self.digest, dataset_digest(self._splits, samples))


def _in_words(value: int) -> str:
    return str(value) if abs(value) < 10**30 else "a number of more than 30 digits"


def _spans(splits: Mapping[str, int]) -> list[Span]:
    return [
        (split, start, min(start + CHUNK_SIZE, count))
        for split, count in splits.items()
        for start in range(0, count, CHUNK_SIZE)
    ]


def _complete_span(root: Path, settings: DatasetSettings, span: Span) -> list[bytes]:
    """Renders what is missing or damaged among some samples; returns the digests of them all."""
    split, start, stop = span
    digests = []
    for index in range(start, stop):
        try:
            image, keypoints = read_sample(root, split, index, settings.shapes.size_hw)
        except (FileNotFoundError, ValueError):
            image, keypoints = render_sample(settings.seed, index, settings.shapes, split)
            write_sample(root, split, index, image, keypoints)
        digests.append(sample_digest(image, keypoints))
    return digests


def _digest_span(root: Path, size_hw: tuple[int, int], span: Span) -> list[bytes]:
    split, start, stop = span
    return [sample_digest(*read_sample(root, split, index, size_hw)) for index in range(start, stop)]


def _existing_manifest(root: Path) -> Manifest | None:
    if (root / MANIFEST).exists():
        return read_manifest(root)
    if root.exists() and not root.is_dir():
        raise FileExistsError(f"{root} is a file, not a folder")
    if root.is_dir() and any(not is_temporary(path) for path in root.iterdir()):
        raise FileExistsError(f"{root} is not empty and has no {MANIFEST}: choose another folder")
    return None


def _check_space(root: Path, settings: DatasetSettings) -> None:
    """Better refused now than when the disk is full."""
    height, width = settings.shapes.size_hw
    least = sum(settings.splits.values()) * (LEAST_FILES_BYTES + height * width // 16)
    there = next(path for path in (root.absolute(), *root.absolute().parents) if path.exists())
    if least > (total := shutil.disk_usage(there).total):
        raise DatasetError(
            f"{sum(settings.splits.values())} images take {least / 1e9:.0f} GB or more, and the whole disk of {root} "
            f"has {total / 1e9:.0f} GB: take a smaller count"
        )


def _check_same_dataset(root: Path, existing: Manifest, wanted: Manifest) -> None:
    if existing.settings is None or wanted.settings is None:
        raise DatasetError(f"{root} holds a converted dataset: choose another folder")
    differences = _differences(existing.settings, wanted.settings)
    if existing.digest is None:
        # A finished dataset has its digest to answer for it; one half from each version would have none.
        differences += _differences(existing.versions or {}, wanted.versions or {}, "version of ")
    if differences:
        raise DatasetError(f"{root} holds another dataset: {'; '.join(differences)}. Choose another folder")


def _differences(existing: Mapping[str, Any], wanted: Mapping[str, Any], prefix: str = "") -> list[str]:
    found = []
    for name in [*wanted, *(existing.keys() - wanted.keys())]:
        there, here = existing.get(name), wanted.get(name)
        if isinstance(there, Mapping) and isinstance(here, Mapping):
            found += _differences(there, here, f"{prefix}{name}.")
        elif there != here:
            found.append(f"{prefix}{name} is {there} there and {here} here")
    return found


def _check_digest(root: Path, recorded: str, found: str) -> None:
    if recorded != found:
        raise DatasetError(f"{root}: the samples have changed: their digest is {found}, recorded is {recorded}")


def _read_settings(root: Path, nested: Mapping[str, Any]) -> DatasetSettings:
    try:
        shapes = {name: tuple(value) if isinstance(value, list) else value for name, value in nested["shapes"].items()}
        return DatasetSettings(**{**nested, "shapes": ShapeSettings(**shapes)})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DatasetError(f"{root / MANIFEST}: unusable settings: {error}") from error
