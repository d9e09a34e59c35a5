"""Training batches as a function of seed and step: whatever the worker, the process or the resume point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from synthetic_shapes.sample import sample_generator

from ..core.errors import InputError
from .augment import augment
from .samples import TrainingSample, Views
from .settings import AugmentationSettings, ViewSettings
from .sources import Source
from .views import change_light, show_views


class Batch(NamedTuple):
    """B images with their labels, on one device.

    `image` is float32 (B, 1, H, W) in [0, 1]; `keypoints` B tensors (N, 2), (x, y) in pixels; `certainties` B
    tensors (N,) in [0, 1]; `valid_mask` bool (B, 1, H, W).
    """

    image: Tensor
    keypoints: list[Tensor]
    certainties: list[Tensor]
    valid_mask: Tensor


class ViewBatch(NamedTuple):
    """B times two views of one image with their labels, on one device; `H_0to1` float64 (B, 3, 3).

    `first` is the number of the first sample among all of the run, whose randomness hangs on it. `own_light`, where it
    is wanted, is float32 (2 B, 1, H, W): what the views, views 0 first, show before light, lens, sensor and file
    change.
    """

    view0: Batch
    view1: Batch
    H_0to1: Tensor
    first: int = 0
    own_light: Tensor | None = None


class Collated(NamedTuple):
    """A batch on its way from the process that made it, in few and small tensors.

    `image` is uint8 (B, 1, H, W); `keypoints` float32 (sum N, 2) and `certainties` (sum N,) of all images;
    `counts` (B,) says how many are whose; `valid_mask` bool (B, 1, H, W).
    """

    image: Tensor
    keypoints: Tensor
    certainties: Tensor
    counts: Tensor
    valid_mask: Tensor

    def to(self, device: torch.device) -> Batch:
        """The batch on the device, unpacked there."""
        image, keypoints, certainties, mask = (
            part.to(device, non_blocking=True)
            for part in (self.image, self.keypoints, self.certainties, self.valid_mask)
        )
        counts = self.counts.tolist()
        return Batch(
            image.float() / 255.0,
            list(torch.split(keypoints, counts)),
            list(torch.split(certainties, counts)),
            mask,
        )


class CollatedViews(NamedTuple):
    """Two views of each of some images on their way from the process that made them, as in `ViewBatch`.

    `own_light` is uint8.
    """

    view0: Collated
    view1: Collated
    H_0to1: Tensor
    first: int = 0
    own_light: Tensor | None = None

    def to(self, device: torch.device) -> ViewBatch:
        """The views on the device, unpacked there."""
        H_0to1 = self.H_0to1.to(device, non_blocking=True)
        own_light = None if self.own_light is None else self.own_light.to(device, non_blocking=True).float() / 255.0
        return ViewBatch(self.view0.to(device), self.view1.to(device), H_0to1, self.first, own_light)


Item = TypeVar("Item")


class StepBatches(Dataset[Item]):
    """Item `step` is the batch of that step, for one process of several.

    Of the `batch_size` samples of a step, process `rank` of `world_size` gets an equal, consecutive share.
    """

    def __init__(self, batch_size: int, rank: int, world_size: int) -> None:
        if batch_size % world_size:
            raise InputError(
                f"batch_size {batch_size} is not a multiple of its {world_size} shares, processes times accumulate"
            )
        self._batch_size, self._share, self._rank = batch_size, batch_size // world_size, rank

    def indices(self, step: int) -> range:
        """The numbers of this process's samples of a step."""
        first = step * self._batch_size + self._rank * self._share
        return range(first, first + self._share)


class ImageBatches(StepBatches[Collated]):
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

    def _augmented(self, index: int) -> TrainingSample:
        rng = sample_generator(self._seed, "augmentation", index)
        return augment(self._source.sample(index), self._augmentation, rng)


class ViewBatches(StepBatches[CollatedViews]):
    """Two views of each image; with `own_light` also what they show before their light is changed."""

    def __init__(
        self,
        source: Source,
        settings: ViewSettings,
        seed: int,
        batch_size: int,
        rank: int = 0,
        world_size: int = 1,
        own_light: bool = False,
    ) -> None:
        super().__init__(batch_size, rank, world_size)
        self._source, self._settings, self._seed, self._own_light = source, settings, seed, own_light

    def __getitem__(self, step: int) -> CollatedViews:
        indices = self.indices(step)
        shown, changed = zip(*(self._views(index) for index in indices), strict=True)
        batch = collate_views(changed)._replace(first=indices.start)
        if not self._own_light:
            return batch
        images = [views.view0.image for views in shown] + [views.view1.image for views in shown]
        return batch._replace(own_light=torch.from_numpy(np.stack(images)[:, None]))

    def _views(self, index: int) -> tuple[Views, Views]:
        """The views in the light of the image, and each in one of its own."""
        rng = sample_generator(self._seed, "pair", index)
        shown = show_views(self._source.sample(index), self._settings, rng)
        return shown, change_light(shown, self._settings, rng)


def collate(samples: Sequence[TrainingSample]) -> Collated:
    """Packs samples for the way to the training process.

    Raises:
        ValueError: the images differ in size.
    """
    images, keypoints, certainties, masks = zip(*samples, strict=True)
    sizes = {image.shape for image in images}
    if len(sizes) > 1:
        raise ValueError(f"the images of one batch must have one size, got {sorted(sizes)}")
    return Collated(
        image=torch.from_numpy(np.stack(images)[:, None]),
        keypoints=torch.from_numpy(np.concatenate(keypoints)),
        certainties=torch.from_numpy(np.concatenate(certainties)),
        counts=torch.tensor([len(k) for k in keypoints]),
        valid_mask=torch.from_numpy(np.stack(masks)[:, None]),
    )


def collate_views(views: Sequence[Views]) -> CollatedViews:
    """Packs views of some images for the way to the training process."""
    views0, views1, homographies = zip(*views, strict=True)
    return CollatedViews(collate(views0), collate(views1), torch.from_numpy(np.stack(homographies)))
