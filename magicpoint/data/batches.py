"""Training batches as a function of seed and step: whatever the worker, the process or the resume point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from synthetic_shapes.sample import sample_generator

from .augment import View, augment
from .settings import AugmentationSettings, PairSettings
from .sources import LabelledSource, Source
from .views import make_pair


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


CollatedPairs = tuple[Collated, Collated, Tensor]
"""The views 0, the views 1, and float64 (B, 3, 3) from the ones to the others."""


@dataclass(frozen=True, eq=False)
class PairBatch:
    """B pairs of views with their labels, on one device.

    ``image0`` and ``image1`` are float32 (B, 1, H, W) in [0, 1]; ``keypoints0`` and ``keypoints1`` B tensors (N, 2),
    (x, y), what is labelled and seen in each view, and ``certainties0`` and ``certainties1`` B tensors (N,);
    ``valid_mask0`` and ``valid_mask1`` bool (B, 1, H, W); ``H_0to1`` float64 (B, 3, 3).
    """

    image0: Tensor
    image1: Tensor
    keypoints0: list[Tensor]
    keypoints1: list[Tensor]
    certainties0: list[Tensor]
    certainties1: list[Tensor]
    valid_mask0: Tensor
    valid_mask1: Tensor
    H_0to1: Tensor


class PairBatches(StepBatches[CollatedPairs]):
    """Pairs of views."""

    def __init__(
        self,
        source: LabelledSource,
        settings: PairSettings,
        seed: int,
        batch_size: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        super().__init__(batch_size, rank, world_size)
        self._source, self._settings, self._seed = source, settings, seed

    def __getitem__(self, step: int) -> CollatedPairs:
        views0, views1, homographies = zip(*map(self._pair, self.indices(step)), strict=True)
        return collate(views0), collate(views1), torch.from_numpy(np.stack(homographies))

    def _pair(self, index: int) -> tuple[View, View, NDArray[np.float64]]:
        rng = sample_generator(self._seed, "pair", index)
        return make_pair(self._source.sample(index), self._settings, rng)


def to_pair_batch(collated: CollatedPairs, device: torch.device) -> PairBatch:
    """Moves collated pairs to the device and unpacks them there."""
    view0, view1 = (to_batch(view, device) for view in collated[:2])
    return PairBatch(
        image0=view0.image,
        image1=view1.image,
        keypoints0=[k[:, :2] for k in view0.keypoints],
        keypoints1=[k[:, :2] for k in view1.keypoints],
        certainties0=[k[:, 2] for k in view0.keypoints],
        certainties1=[k[:, 2] for k in view1.keypoints],
        valid_mask0=view0.valid_mask,
        valid_mask1=view1.valid_mask,
        H_0to1=collated[2].to(device, non_blocking=True),
    )
