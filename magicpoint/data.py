"""Training batches as a function of seed and step: whatever the worker, the process or the resume point."""

from __future__ import annotations

import hashlib
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from homography import sample_homography, valid_mask, warp_image, warp_points
from synthetic_shapes import ShapeSettings, render_sample
from synthetic_shapes.sample import sample_generator

from .config import AugmentationSettings
from .photometric import augment_photometric

Sample = tuple[NDArray[np.uint8], NDArray[np.float32]]
"""A uint8 (H, W) image and its float32 (N, 2) keypoints, (x, y)."""


View = tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.bool_]]
"""An image (H, W), the keypoints seen in it, (N, C), and where it shows valid pixels, (H, W).

The columns are x, y and, in pairs of views, the certainty.
"""


class Source(Protocol):
    """Where samples come from; spawn-safe, so picklable."""

    @property
    def digest(self) -> str:
        """Tells one content from another."""

    def sample(self, index: int) -> Sample:
        """Sample number ``index`` of an endless sequence."""


@dataclass(frozen=True)
class RenderedSource:
    """Shapes rendered as they are asked for: no image comes twice."""

    seed: int
    settings: ShapeSettings

    @property
    def digest(self) -> str:
        """SHA-256 over the first two samples of each shape: the images are endless."""
        digest = hashlib.sha256()
        for index in range(2 * len(self.settings.shapes)):
            for array in self.sample(index):
                digest.update(array.tobytes())
        return digest.hexdigest()

    def sample(self, index: int) -> Sample:
        return render_sample(self.seed, index, self.settings)


class StoredDataset(Protocol):
    """A sequence of samples, as ``synthetic_shapes.ShapesDataset`` is."""

    @property
    def digest(self) -> str: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...


class ShuffledIndices:
    """Indices over and over, each time in another order."""

    def __init__(self, indices: Sequence[int], seed: int) -> None:
        self._indices, self._seed = np.asarray(indices), seed
        self._epoch, self._order = -1, np.empty(0, np.int64)

    def __getitem__(self, number: int) -> int:
        epoch, place = divmod(number, len(self._indices))
        if epoch != self._epoch:
            self._order = sample_generator(self._seed, "order", epoch).permutation(self._indices)
            self._epoch = epoch
        return int(self._order[place])


class StoredSource:
    """A stored dataset, over and over, each time in another order."""

    def __init__(self, dataset: StoredDataset, seed: int) -> None:
        if not len(dataset):
            raise ValueError("the dataset has no samples")
        self._dataset, self._order = dataset, ShuffledIndices(range(len(dataset)), seed)
        self.digest = dataset.digest

    def sample(self, index: int) -> Sample:
        return self._dataset[self._order[index]]


@dataclass(frozen=True)
class Batch:
    """B augmented images with their labels.

    ``image`` float32 (B, 1, H, W) in [0, 1]; ``keypoints`` B tensors (N, C), see `View`; ``valid_mask`` bool
    (B, 1, H, W).
    """

    image: Tensor
    keypoints: list[Tensor]
    valid_mask: Tensor


Collated = tuple[Tensor, Tensor, Tensor, Tensor]
"""uint8 images (B, 1, H, W), all keypoints (sum N, C), counts (B,), bool masks (B, 1, H, W): small to send."""


Item = TypeVar("Item")


class StepBatches(Dataset[Item]):
    """Item ``step`` is the batch of that step, for one process of several.

    Of the ``batch_size`` samples of a step, process ``rank`` of ``world_size`` gets an equal, consecutive share.
    """

    def __init__(self, batch_size: int, rank: int, world_size: int) -> None:
        if batch_size % world_size:
            raise ValueError(f"batch_size {batch_size} is not a multiple of the {world_size} processes")
        self._batch_size, self._share, self._rank = batch_size, batch_size // world_size, rank

    def indices(self, step: int) -> range:
        """The numbers of this process's samples of a step."""
        first = step * self._batch_size + self._rank * self._share
        return range(first, first + self._share)


class TrainingBatches(StepBatches[Collated]):
    """Augmented images."""

    def __init__(
        self,
        source: Source,
        augmentation: AugmentationSettings,
        seed: int,
        batch_size: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        super().__init__(batch_size, rank, world_size)
        self._source, self._augmentation, self._seed = source, augmentation, seed

    def __getitem__(self, step: int) -> Collated:
        return collate([self._augmented(index) for index in self.indices(step)])

    def _augmented(self, index: int) -> View:
        image, keypoints = self._source.sample(index)
        return augment(image, keypoints, self._augmentation, sample_generator(self._seed, "augmentation", index))


def augment(
    image: NDArray[np.uint8],
    keypoints: NDArray[np.float32],
    settings: AugmentationSettings,
    rng: np.random.Generator,
) -> View:
    """Warps an image with its keypoints at random, then changes its light; returns also the valid mask, (H, W).

    Keypoints that leave the image, or come to lie where the mask is invalid, are dropped.
    """
    height, width = image.shape
    mask = np.ones((height, width), np.bool_)
    if rng.random() < settings.homographic_probability:
        H_0to1 = sample_homography((width, height), rng, settings.homographic)
        image = warp_image(image, H_0to1)
        mask = valid_mask((width, height), H_0to1)
        keypoints = keep_visible(warp_points(keypoints, H_0to1), mask)
    return augment_photometric(image, settings.photometric, rng), keypoints, mask


def keep_visible(keypoints: NDArray[np.floating], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Those keypoints (N, C), the first columns x and y, that lie in the image on a valid pixel of its mask (H, W)."""
    height, width = mask.shape
    places = keypoints[:, :2]
    inside = keypoints[((places >= 0) & (places <= (width - 1, height - 1))).all(1)].astype(np.float32)
    column, row = np.rint(inside[:, :2]).astype(np.intp).T
    visible: NDArray[np.float32] = inside[mask[row, column]]
    return visible


def collate(views: Sequence[View]) -> Collated:
    """Packs views for the way to the training process.

    Raises:
        ValueError: the views differ in size.
    """
    images, keypoints, masks = zip(*views, strict=True)
    sizes = {image.shape for image in images}
    if len(sizes) > 1:
        raise ValueError(f"the images of one batch must have one size, got {sorted(sizes)}")
    return (
        torch.from_numpy(np.stack(images)[:, None]),
        torch.from_numpy(np.concatenate(keypoints)),
        torch.tensor([len(k) for k in keypoints]),
        torch.from_numpy(np.stack(masks)[:, None]),
    )


def to_batch(collated: Collated, device: torch.device) -> Batch:
    """Moves a collated batch to the device and unpacks it there."""
    image, points, mask = (collated[part].to(device, non_blocking=True) for part in (0, 1, 3))
    return Batch(image.float() / 255.0, list(torch.split(points, collated[2].tolist())), mask)


class _Steps(Sampler[int]):
    def __init__(self, start: int, stop: int) -> None:
        self._steps = range(start, stop)

    def __iter__(self) -> Iterator[int]:
        return iter(self._steps)

    def __len__(self) -> int:
        return len(self._steps)


def load_batches(batches: Dataset[Item], start: int, stop: int, workers: int, pin: bool) -> DataLoader[Item]:
    """The batches of steps ``start`` to ``stop``, in order, prepared ahead by ``workers`` processes (0: this one)."""
    return DataLoader(
        batches,
        batch_size=None,
        sampler=_Steps(start, stop),
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        pin_memory=pin,
        worker_init_fn=_start_worker,
        multiprocessing_context="spawn" if workers else None,
    )


def _start_worker(_: int) -> None:
    """One thread each, since the network needs the cores; signals are for the training process, which stops them."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
