"""MagicPoint: a detector learns the corners of shapes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from synthetic_shapes import ShapesDataset

from ...data.batches import ImageBatches
from ...data.sources import RenderedSource, Source, StoredSource
from ...model.network import PointNetwork
from ..settings import TrainSettings
from ..validation.magicpoint import Validator
from .base import detection_loss, run_network


class DetectorTask:
    """MagicPoint: corners of shapes."""

    def __init__(self, settings: TrainSettings) -> None:
        self._settings = settings
        self._source = self._open_source()
        self._validator = Validator(settings.shapes.size_hw)
        self.digest = self._source.digest

    def _open_source(self) -> Source:
        settings = self._settings
        if settings.dataset is None:
            return RenderedSource(settings.seed, settings.shapes)
        return StoredSource(ShapesDataset(settings.dataset, "training"), settings.seed)

    def batches(self, rank: int, world_size: int) -> ImageBatches:
        settings = self._settings
        return ImageBatches(self._source, settings.augmentation, settings.seed, settings.batch_size, rank, world_size)

    def losses(self, model: PointNetwork, collated: Any, device: torch.device, step: int) -> dict[str, Tensor]:
        batch = collated.to(device)
        output = run_network(model, batch.image, self._settings)
        return {"loss": detection_loss(output, batch.keypoints, batch.valid_mask, self._settings, batch.certainties)}

    def measure(self, model: PointNetwork, device: torch.device) -> dict[str, float]:
        return self._validator.measure(model, device)

    def score(self, measures: Mapping[str, float]) -> float:
        return 0.5 * (measures["ap_clean"] + measures["ap_noise"])

    def check(self, means: Mapping[str, float], step: int) -> None:
        pass
