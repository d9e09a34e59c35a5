"""MagicPoint: a detector learns the corners of shapes, or the points of labelled images."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from synthetic_shapes import ShapesDataset

from ...data.batches import Batch, Collated, ImageBatches
from ...data.labelled import open_labelled
from ...data.labelled_images import CroppedSource, LabelledImages, LabelledSource
from ...data.sources import RenderedSource, Source, StoredSource
from ...model.network import PointNetwork
from ..validation.labelled import LabelledValidator
from ..validation.magicpoint import Validator
from .base import RunSettings
from .points import PointTask, label_target
from .settings import MagicPointSettings


class MagicPointTask(PointTask[Collated, Batch]):
    """Corners of shapes, or points of images."""

    def __init__(self, settings: MagicPointSettings, run: RunSettings) -> None:
        super().__init__(settings, run)
        self._settings = settings
        self._source: Source
        self._labelled: LabelledImages | None = None
        self._validator: Validator | LabelledValidator
        if settings.labels is not None:
            self._source, self._validator = self._open_labelled(open_labelled(settings.images, settings.labels))
        else:
            self._source, self._validator = self._open_shapes(), Validator(settings.shapes.size_hw)
        self.digest = self._source.digest

    def is_of(self, digest: str) -> bool:
        return digest == self.digest or (self._labelled is not None and self._labelled.is_of(digest))

    def _open_shapes(self) -> Source:
        settings, seed = self._settings, self._run.seed
        if settings.dataset is None:
            return RenderedSource(seed, settings.shapes)
        return StoredSource(ShapesDataset(settings.dataset, "training"), seed)

    def _open_labelled(self, dataset: LabelledImages) -> tuple[Source, LabelledValidator]:
        settings, seed = self._settings, self._run.seed
        self._labelled = dataset
        training, held_out = dataset.split_by_name(settings.holdout)
        whole = LabelledSource(dataset, training, seed, 0.0, settings.shapes)
        source = CroppedSource(whole, settings.shapes.size_hw, settings.smallest_scale, seed)
        return source, LabelledValidator(dataset, held_out)

    def batches(self, rank: int, world_size: int) -> ImageBatches:
        run = self._run
        return ImageBatches(self._source, self._settings.augmentation, run.seed, run.batch_size, rank, world_size)

    def to_device(self, item: Collated, device: torch.device) -> Batch:
        return item.to(device)

    def losses(self, network: PointNetwork, batch: Batch, step: int) -> dict[str, Tensor]:
        output = self._forward(network, batch.image)
        size_hw = batch.image.shape[2], batch.image.shape[3]
        target = label_target(batch.keypoints, batch.certainties, size_hw, self._settings)
        return {"loss": self._detector_loss(output, target, batch.valid_mask)}

    def check(self, means: Mapping[str, float], step: int) -> None:
        """The loss alone tells nothing."""

    def measure(self, network: PointNetwork, device: torch.device) -> dict[str, float]:
        return self._validator.measure(network, device)

    def score(self, measures: Mapping[str, float]) -> float:
        if "ap" in measures:
            return -math.inf if math.isnan(measures["ap"]) else measures["ap"]
        return 0.5 * (measures["ap_clean"] + measures["ap_noise"])
