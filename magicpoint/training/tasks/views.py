"""What is learnt of two views of an image: their keypoints, and descriptors by which they match."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from synthetic_shapes.sample import sample_generator

from ...data.batches import CollatedViews, ViewBatch, ViewBatches
from ...data.sources import Source
from ...model.network import Output, PointNetwork
from ..correspondences import draw_points, find_correspondences
from ..distributed import over_all
from ..losses.descriptors import LEAST_GAP, PLACE_LOSSES, Similarity, dense_hinge_loss
from ..targets import mask_to_cells
from ..validation.superpoint import ViewValidator
from .base import RunSettings, TrainingError
from .points import PointTask
from .settings import DistilSettings, SuperPointSettings

TOLD_APART_BY_STEP = 500
"""From this step on descriptors that are as alike of different places as of the same are taken for collapsed."""


class ViewTask(PointTask[CollatedViews, ViewBatch]):
    """Keypoints of two views, and descriptors by which these match.

    Args:
        settings: What is learnt.
        run: The settings of the run.
        source: Of the images.
        validator: How the network is judged.
    """

    wants_own_light: ClassVar[bool] = False
    """Whether batches have what the views show before their light is changed."""

    def __init__(
        self, settings: SuperPointSettings | DistilSettings, run: RunSettings, source: Source, validator: ViewValidator
    ) -> None:
        super().__init__(settings, run)
        self._view_settings, self._source, self._validator = settings, source, validator

    def batches(self, rank: int, world_size: int) -> ViewBatches:
        run, views = self._run, self._view_settings.views
        return ViewBatches(self._source, views, run.seed, run.batch_size, rank, world_size, self.wants_own_light)

    def to_device(self, item: CollatedViews, device: torch.device) -> ViewBatch:
        return item.to(device)

    def losses(self, network: PointNetwork, batch: ViewBatch, step: int) -> dict[str, Tensor]:
        """The detector's loss in both views, the descriptors' between them, and the mean cosines of the latter.

        `compared` is 1 where the views have a place in common, so that its mean is the share of such steps. Both
        cosines are 0 in the others: their means are those of the steps compared, times that share.
        """
        batch, target = self._taught(batch)
        view0, view1 = batch.view0, batch.view1
        output = self._forward(network, torch.cat((view0.image, view1.image)))
        detection = self._detector_loss(output, target, torch.cat((view0.valid_mask, view1.valid_mask)))
        description, similarity = self._descriptor_loss(output, batch)
        count = similarity.positives
        compared = over_all((count > 0).float(), count)
        total = detection + self._view_settings.descriptor_weight * description
        return {
            "loss": total,
            "detector_loss": detection.detach(),
            "descriptor_loss": description.detach(),
            "positive_similarity": over_all(similarity.positive, count),
            "negative_similarity": over_all(similarity.negative * (count > 0), count),
            "compared": compared,
        }

    @abstractmethod
    def _taught(self, batch: ViewBatch) -> tuple[ViewBatch, Tensor]:
        """The views with their keypoints, and what their cells should be, (2 B, 65, H / 8, W / 8), views 0 first."""

    def check(self, means: Mapping[str, float], step: int) -> None:
        compared = means["compared"]
        if step < TOLD_APART_BY_STEP or compared == 0:
            return
        positive, negative = means["positive_similarity"] / compared, means["negative_similarity"] / compared
        if positive - negative < LEAST_GAP:
            raise TrainingError(
                f"the descriptors have collapsed: at step {step} those of the same place have the cosine "
                f"{positive:.3f}, those of others {negative:.3f}"
            )

    def measure(self, network: PointNetwork, device: torch.device) -> dict[str, float]:
        return self._validator.measure(network, device)

    def score(self, measures: Mapping[str, float]) -> float:
        score = 0.5 * (measures["repeatability"] + measures["matching_score"])
        return -math.inf if math.isnan(score) else score

    def _descriptor_loss(self, output: Output, batch: ViewBatch) -> tuple[Tensor, Similarity]:
        assert output.descriptors is not None
        settings = self._view_settings
        descriptors0, descriptors1 = output.descriptors.chunk(2)
        mask0, mask1 = mask_to_cells(batch.view0.valid_mask), mask_to_cells(batch.view1.valid_mask)
        H_0to1 = batch.H_0to1.float()
        if settings.descriptor_loss == "dense_hinge":
            loss, similarity = dense_hinge_loss(descriptors0, descriptors1, H_0to1, mask0, mask1)
            return over_all(loss, (mask0.sum((1, 2)) * mask1.sum((1, 2))).sum()), similarity
        points0, points1 = zip(*find_correspondences(self._draw(batch), H_0to1, mask0, mask1), strict=True)
        options = {"temperature": settings.descriptor_temperature} if settings.descriptor_loss == "dual_softmax" else {}
        loss, similarity = PLACE_LOSSES[settings.descriptor_loss](
            descriptors0, descriptors1, points0, points1, **options
        )
        return over_all(loss, similarity.positives), similarity

    def _draw(self, batch: ViewBatch) -> list[Tensor]:
        """Places of each view 0; of an image they depend on its number alone, not on the others of the batch."""
        height, width = batch.view0.image.shape[-2:]
        places = []
        for number, keypoints in enumerate(batch.view0.keypoints, batch.first):
            seed = int(sample_generator(self._run.seed, "points", number).integers(2**62))
            generator = torch.Generator().manual_seed(seed)
            places += draw_points([keypoints], (height, width), self._view_settings.descriptor_points, generator)
        return places
