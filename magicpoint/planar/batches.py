"""Batches of scenes, as a function of seed and step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..data.batches import StepBatches
from .scenes import Scene
from .views import SceneViews


class SceneBatch(NamedTuple):
    """B images, float32 (B, 1, H, W) in [0, 1], and the corners of the objects of each, B tensors (G, 4, 2).

    `first` is the number of the first image.
    """

    image: Tensor
    objects: list[Tensor]
    first: int = 0


class CollatedScenes(NamedTuple):
    """A batch on its way from the process that made it.

    `image` uint8 (B, 1, H, W); `corners` float32 (sum G, 4, 2) of all; `counts` (B,) says how many are whose; `first`
    as in `SceneBatch`.
    """

    image: Tensor
    corners: Tensor
    counts: Tensor
    first: int = 0

    def to(self, device: torch.device) -> SceneBatch:
        """The batch on the device, unpacked there."""
        image, corners = (part.to(device, non_blocking=True) for part in (self.image, self.corners))
        return SceneBatch(image.float() / 255.0, list(torch.split(corners, self.counts.tolist())), self.first)


class SceneBatches(StepBatches[CollatedScenes]):
    """Views of scenes; of their templates those that are seen well enough are objects."""

    def __init__(
        self, views: SceneViews, least_visible: float, batch_size: int, rank: int = 0, world_size: int = 1
    ) -> None:
        super().__init__(batch_size, rank, world_size)
        self._views, self._least_visible = views, least_visible

    def __getitem__(self, step: int) -> CollatedScenes:
        indices = self.indices(step)
        batch = collate_scenes([self._views[index] for index in indices], self._least_visible)
        return batch._replace(first=indices.start)


def collate_scenes(scenes: Sequence[Scene], least_visible: float) -> CollatedScenes:
    """Packs scenes for the way to the training process."""
    objects = [scene.corners[scene.visible >= least_visible] for scene in scenes]
    return CollatedScenes(
        torch.from_numpy(np.stack([scene.image for scene in scenes])[:, None]),
        torch.from_numpy(np.concatenate(objects)),
        torch.tensor([len(corners) for corners in objects]),
    )
