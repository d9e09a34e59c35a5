"""MagicPoint: a detector learns the corners of shapes."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from synthetic_shapes import ShapesDataset

from ...data.batches import Batch, Collated, ImageBatches
from ...data.sources import RenderedSource, Source, StoredSource
from ...model.network import PointNetwork
from ..validation.magicpoint import Validator
from .base import RunSettings
from .points import PointTask
from .settings import MagicPointSettings


class MagicPointTask(PointTask[Collated, Batch]):
    """Corners of shapes."""

    def __init__(self, settings: MagicPointSettings, run: RunSettings) -> None:
        super().__init__(settings, run)
        self._settings = settings
        self._source = self._open_source()
        self._validator = Validator(settings.shapes.size_hw)
        self.digest = self._source.digest

    def _open_source(self) -> Source:
        settings, seed = self._settings, self._run.seed
        if settings.dataset is None:
            return RenderedSource(seed, settings.shapes)
        return StoredSource(ShapesDataset(settings.dataset, "training"), seed)

    def batches(self, rank: int, world_size: int) -> ImageBatches:
        run = self._run
        return ImageBatches(self._source, self._settings.augmentation, run.seed, run.batch_size, rank, world_size)

    def to_device(self, item: Collated, device: torch.device) -> Batch:
        return item.to(device)

    def losses(self, network: PointNetwork, batch: Batch, step: int) -> dict[str, Tensor]:
        output = self._forward(network, batch.image)
        return {"loss": self._detector_loss(output, batch.keypoints, batch.certainties, batch.valid_mask)}

    def check(self, means: Mapping[str, float], step: int) -> None:
        """The loss alone tells nothing."""

    def measure(self, network: PointNetwork, device: torch.device) -> dict[str, float]:
        return self._validator.measure(network, device)

    def score(self, measures: Mapping[str, float]) -> float:
        return 0.5 * (measures["ap_clean"] + measures["ap_noise"])
