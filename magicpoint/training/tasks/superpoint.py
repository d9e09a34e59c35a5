"""SuperPoint: detector and descriptors learn from two views of labelled images."""

from __future__ import annotations

from torch import Tensor

from ...data.batches import ViewBatch
from ...data.labelled import open_labelled
from ...data.labelled_images import LabelledSource
from ..validation.superpoint import ViewValidator
from .base import RunSettings
from .points import label_target
from .settings import SuperPointSettings
from .views import ViewTask


class SuperPointTask(ViewTask):
    """The labelled keypoints of images, and descriptors by which two views of an image match."""

    def __init__(self, settings: SuperPointSettings, run: RunSettings) -> None:
        dataset = open_labelled(settings.images, settings.labels, settings.certain_score)
        training, held_out = dataset.split()
        source = LabelledSource(dataset, training, run.seed, settings.shapes_share, settings.shapes)
        super().__init__(settings, run, source, ViewValidator(dataset, held_out, settings.views))
        self._settings = settings
        self.digest, self._dataset = dataset.digest, dataset

    def is_of(self, digest: str) -> bool:
        return self._dataset.is_of(digest)

    def _taught(self, batch: ViewBatch) -> tuple[ViewBatch, Tensor]:
        view0, view1 = batch.view0, batch.view1
        keypoints, certainties = view0.keypoints + view1.keypoints, view0.certainties + view1.certainties
        size_hw = view0.image.shape[2], view0.image.shape[3]
        return batch, label_target(keypoints, certainties, size_hw, self._settings)
