"""Images with their labels from homographic adaptation, as samples to train on."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from synthetic_shapes import ShapeSettings, render_sample
from synthetic_shapes.sample import sample_generator

from ..core.errors import InputError
from ..core.files import AnyPath
from ..core.types import Labels
from ..io.finding import find_images
from ..io.images import read_image
from ..io.labels import read_labels
from ..io.reading import ImageReading, Orientation
from ..io.records import RecordFile
from .samples import TrainingSample, certain_sample, keep_visible
from .sources import Order, ShuffledIndices, Source
from .views import crop

HELD_OUT_SHARE = 0.05
LEAST_HELD_OUT = 8
"""Fewer images tell little; of less than 32 images a quarter are held out all the same."""
MOST_HELD_OUT = 64


class LabelledImages:
    """The images of a label file; files are opened when they are asked for, so that this can be sent to processes.

    `len(dataset)` is their number; `dataset[i]` is a `TrainingSample`, whose keypoints are those on valid pixels.

    Args:
        images: Image files and folders, as they were given to `magicpoint adapt`.
        labels: The file that it wrote. An image without labels is left out.
        certain_score: The certainty of a keypoint is its score over this, at most 1; 0 gives all the certainty 1.

    Raises:
        FileNotFoundError: A path or the label file does not exist.
        InputError: The file is damaged, has no keypoint at all, or none or not all of its images are found.
    """

    def __init__(self, images: Sequence[AnyPath], labels: AnyPath, certain_score: float = 0.0) -> None:
        self._certain_score = certain_score
        self._labels = read_labels(labels)
        found = find_images(images)
        missing = [key for key in self._labels if key not in found]
        if missing:
            raise InputError(
                f"{labels} labels {len(self._labels)} images, {len(missing)} of which are not in "
                f"{', '.join(map(str, images))}, such as {missing[0]}: give the images as `magicpoint adapt` got them"
            )
        self._keys = [key for key in found if key in self._labels]
        if not self._keys:
            raise InputError(f"{labels} labels no image")
        if not any(self._labels.keypoint_counts().values()):
            raise InputError(f"{labels} has no keypoint on any of its {len(self._keys)} images: nothing can be learnt")
        self._paths = {key: found[key] for key in self._keys}

    @property
    def path(self) -> Path:
        """The file of labels."""
        return self._labels.path

    def key(self, index: int) -> str:
        """The key of an image."""
        return self._keys[index]

    def __len__(self) -> int:
        return len(self._keys)

    def __getitem__(self, index: int) -> TrainingSample:
        key, path, records = self._locate(index)
        labels = _read(records, key)
        grey = self._read_image(key, path, _reading(records, labels))
        if grey.shape != labels.valid_mask.shape:
            raise InputError(
                f"{path} is {grey.shape[1]}x{grey.shape[0]}, but was labelled as "
                f"{labels.image_size[0]}x{labels.image_size[1]} in {records.path}"
            )
        sample = TrainingSample(
            np.rint(grey * 255).astype(np.uint8),
            labels.keypoints.numpy(),
            self._certainties(labels),
            labels.valid_mask.numpy(),
        )
        return keep_visible(sample)

    def _locate(self, index: int) -> tuple[str, Path, RecordFile[Labels]]:
        """The key and the file of an image, and the records that hold its labels."""
        key = self._keys[index]
        return key, self._paths[key], self._labels

    def _read_image(self, key: str, path: AnyPath, reading: ImageReading) -> NDArray[np.float32]:
        return read_image(path, reading)

    def order(self, indices: Sequence[int], seed: int) -> Order:
        """These images over and over, each time in another order."""
        return ShuffledIndices(indices, seed)

    def _certainties(self, labels: Labels) -> NDArray[np.float32]:
        scores = labels.keypoint_scores.numpy()
        if self._certain_score <= 0:
            return np.ones_like(scores)
        return np.minimum(scores / self._certain_score, 1.0).astype(np.float32)

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 over the keys and the checksums of their records; no label is read where the file has checksums."""
        return digest_of_records(self._labels, self._keys) or self._earlier_digest()

    def is_of(self, digest: str) -> bool:
        """Whether a digest is that of these images, also one of an earlier version, for which all labels are read."""
        return digest == self.digest or digest == self._earlier_digest()

    def _earlier_digest(self) -> str:
        digest = hashlib.sha256()
        for key in self._keys:
            labels = _read(self._labels, key)
            digest.update(key.encode() + b"\0" + labels.keypoints.numpy().tobytes())
            digest.update(labels.keypoint_scores.numpy().tobytes())
            digest.update(np.packbits(labels.valid_mask.numpy()).tobytes())
        return digest.hexdigest()

    def split(self) -> tuple[Sequence[int], Sequence[int]]:
        """The indices to train on and those held out, every 20th image of a fixed shuffle, at least 8 and at most 64.

        Of less than 32 images a quarter are held out, at least 1; a single image is in both.
        """
        return split_in_two(len(self))

    def split_by_name(self, share: float) -> tuple[Sequence[int], Sequence[int]]:
        """The indices to train on and those held out: of each image its name alone decides it.

        So an image stays where it is when others come or go. At least one is on each side.

        Args:
            share: Of the images that are held out, in (0, 1), about.

        Raises:
            InputError: There is one image only.
        """
        if len(self) < 2:
            raise InputError(f"{self._labels.path} labels {len(self)} image: two are needed, one of them to judge")
        places = [_place_of(key) for key in self._keys]
        order = sorted(range(len(self)), key=places.__getitem__)
        count = min(max(1, sum(place < share for place in places)), len(self) - 1)
        return sorted(order[count:]), sorted(order[:count])


def split_in_two(count: int) -> tuple[list[int], list[int]]:
    """The indices of so many images to train on and those held out, as `LabelledImages.split` says."""
    order = sample_generator(0, "held out", 0).permutation(count).tolist()
    if count == 1:
        return order, order
    wanted = min(MOST_HELD_OUT, max(LEAST_HELD_OUT, round(HELD_OUT_SHARE * count)))
    held_out = max(1, min(wanted, count // 4))
    return sorted(order[held_out:]), sorted(order[:held_out])


def _read(records: RecordFile[Labels], key: str) -> Labels:
    """The labels of an image, each of them where a keypoint can be."""
    labels = records[key]
    keypoints, scores, (width, height) = labels.keypoints, labels.keypoint_scores, labels.image_size
    inside = (keypoints >= -0.5) & (keypoints <= torch.tensor([width - 0.5, height - 0.5]))  # NaN is not
    if not inside.all():
        x, y = keypoints[~inside.all(1)][0].tolist()
        raise InputError(f"{records.path}: a keypoint of {key} is at ({x}, {y}), outside {width}x{height}")
    usable = (scores >= 0) & (scores <= 1)
    if not usable.all():
        raise InputError(f"{records.path}: a score of {key} is {scores[~usable][0]}, outside [0, 1]")
    return labels


def _reading(records: RecordFile[Labels], labels: Labels) -> ImageReading:
    """As the images were read to be labelled; labels that do not say it are older than the other ways."""
    width, height = labels.image_size
    megapixels = max(ImageReading().max_megapixels, width * height / 1e6)
    orientation = cast(Orientation, records.provenance.get("orientation", "exif"))
    return ImageReading(records.provenance.get("range", "full"), megapixels, orientation)


def _place_of(key: str) -> float:
    """Where among all images in [0, 1) the name alone puts one."""
    return int(hashlib.sha256(key.encode()).hexdigest()[:8], 16) / 2**32


def is_held_out(key: str, share: float) -> bool:
    """Whether `LabelledImages.split_by_name` holds an image out, where it need not hold out another number."""
    return _place_of(key) < share


def digest_of_records(records: RecordFile[Labels], keys: Iterable[str]) -> str | None:
    """SHA-256 over keys and the checksums of their records; None where the file has none."""
    digest = hashlib.sha256()
    for key in keys:
        checksum = records.checksum(key)
        if checksum is None:
            return None
        digest.update(key.encode() + b"\0" + checksum.to_bytes(4, "big"))
    return digest.hexdigest()


class LabelledSource:
    """Labelled images over and over, each time in another order, with rendered shapes among them.

    Args:
        dataset: The images.
        indices: Those of them to take.
        seed: Decides the order and the shapes.
        shapes_share: Chance of a sample to be a rendered shape.
        shapes: What is rendered.
    """

    def __init__(
        self, dataset: LabelledImages, indices: Sequence[int], seed: int, shapes_share: float, shapes: ShapeSettings
    ) -> None:
        self._dataset, self._seed = dataset, seed
        self._order = dataset.order(indices, seed)
        self._shapes_share, self._shapes = shapes_share, shapes

    @property
    def digest(self) -> str:
        """That of the images."""
        return self._dataset.digest

    def sample(self, index: int) -> TrainingSample:
        if sample_generator(self._seed, "shape or image", index).random() < self._shapes_share:
            return certain_sample(*render_sample(self._seed, index, self._shapes))
        return self._dataset[self._order[index]]


class CroppedSource:
    """Parts of the samples of another source, all of one size."""

    def __init__(self, source: Source, size_hw: tuple[int, int], smallest_scale: float, seed: int) -> None:
        """See `data.views.crop`; the seed decides which parts."""
        self._source, self._size_hw, self._smallest_scale, self._seed = source, size_hw, smallest_scale, seed

    @property
    def digest(self) -> str:
        """That of the other source."""
        return self._source.digest

    def sample(self, index: int) -> TrainingSample:
        rng = sample_generator(self._seed, "crop", index)
        return crop(self._source.sample(index), self._size_hw, self._smallest_scale, rng)
