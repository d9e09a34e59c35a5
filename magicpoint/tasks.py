"""What a training run learns: where its batches come from, what a step minimises, how it is judged."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils.data import Dataset

from synthetic_shapes import ShapesDataset
from synthetic_shapes.sample import sample_generator

from .config import JointSettings, TrainSettings
from .correspondences import draw_points, find_correspondences
from .data import RenderedSource, Source, StoredSource, TrainingBatches, to_batch
from .descriptor_losses import LEAST_GAP, Similarity, dense_hinge_loss, dual_softmax_loss, sparse_loss
from .labelled_images import LabelledImages, LabelledSource
from .labels import draw_keypoint_map, labels2Dto3D, mask_to_cells
from .losses import detector_loss
from .model import Output, PointNetwork
from .pair_validation import PairValidator
from .pairs import PairBatch, PairBatches, to_pair_batch
from .validation import Validator

ALIVE_BY_STEP = 1000
"""From this step on a detector that finds nothing is taken for dead; one that learns finds corners after some 200."""

TOLD_APART_BY_STEP = 500
"""From this step on descriptors that are as alike of different places as of the same are taken for collapsed."""


class TrainingError(RuntimeError):
    """The run cannot go on: the loss is not a number, the detector is dead, or the descriptors have collapsed."""


class Task(Protocol):
    """What a run learns."""

    digest: str
    """Tells one set of data from another."""

    def batches(self, rank: int, world_size: int) -> Dataset[Any]:
        """Item ``step`` is what process ``rank`` of ``world_size`` gets for that step."""

    def losses(self, model: PointNetwork, collated: Any, device: torch.device, step: int) -> dict[str, Tensor]:
        """Scalars for the log by name; ``loss`` is minimised."""

    def measure(self, model: PointNetwork, device: torch.device) -> dict[str, float]:
        """The validation, with ``keypoints_per_image`` in it."""

    def score(self, measures: Mapping[str, float]) -> float:
        """By which of the measures the best weights are told; larger is better."""

    def check(self, means: Mapping[str, float], step: int) -> None:
        """Raises a `TrainingError` when the means of the losses up to a step show that the run is lost."""


class DetectorTask:
    """MagicPoint: corners of shapes."""

    def __init__(self, settings: TrainSettings) -> None:
        self._settings = settings
        self._source = self._open_source()
        self._validator = Validator(settings.shapes.size)
        self.digest = self._source.digest

    def _open_source(self) -> Source:
        settings = self._settings
        if settings.dataset is None:
            return RenderedSource(settings.seed, settings.shapes)
        return StoredSource(ShapesDataset(settings.dataset, "training"), settings.seed)

    def batches(self, rank: int, world_size: int) -> TrainingBatches:
        settings = self._settings
        return TrainingBatches(
            self._source, settings.augmentation, settings.seed, settings.batch_size, rank, world_size
        )

    def losses(self, model: PointNetwork, collated: Any, device: torch.device, step: int) -> dict[str, Tensor]:
        batch = to_batch(collated, device)
        output = _forward(model, batch.image, self._settings)
        return {"loss": _detection(output, batch.keypoints, batch.valid_mask, self._settings)}

    def measure(self, model: PointNetwork, device: torch.device) -> dict[str, float]:
        return self._validator.measure(model, device)

    def score(self, measures: Mapping[str, float]) -> float:
        return 0.5 * (measures["ap_clean"] + measures["ap_noise"])

    def check(self, means: Mapping[str, float], step: int) -> None:
        pass


class JointTask:
    """SuperPoint: the labelled keypoints of images, and descriptors by which two views of an image match."""

    def __init__(self, settings: TrainSettings) -> None:
        assert settings.labels is not None  # TrainSettings has checked it
        self._settings = settings
        dataset = LabelledImages(settings.images, settings.labels, settings.joint.certain_score)
        training, held_out = dataset.split()
        joint = settings.joint
        self._source = LabelledSource(dataset, training, settings.seed, joint.shapes_share, settings.shapes)
        self._validator = PairValidator(dataset, held_out, joint.pairs)
        self.digest = dataset.digest

    def batches(self, rank: int, world_size: int) -> PairBatches:
        settings = self._settings
        return PairBatches(self._source, settings.joint.pairs, settings.seed, settings.batch_size, rank, world_size)

    def losses(self, model: PointNetwork, collated: Any, device: torch.device, step: int) -> dict[str, Tensor]:
        """The detector's loss in both views, the descriptors' between them, and the mean cosines of the latter.

        ``compared`` is 1 where the views have a place in common, so that its mean is the share of such steps. Both
        cosines are 0 in the others: their means are those of the steps compared, times that share.
        """
        settings, batch = self._settings, to_pair_batch(collated, device)
        output = _forward(model, torch.cat((batch.image0, batch.image1)), settings)
        keypoints, masks = batch.keypoints0 + batch.keypoints1, torch.cat((batch.valid_mask0, batch.valid_mask1))
        certainties = batch.certainties0 + batch.certainties1
        detection = _detection(output, keypoints, masks, settings, certainties)
        seed = int(sample_generator(settings.seed, "points", step).integers(2**62))
        generator = torch.Generator().manual_seed(seed)
        description, similarity = _description(output, batch, settings.joint, generator)
        compared = (similarity.positives > 0).float()
        return {
            "loss": detection + settings.joint.weight * description,
            "detector_loss": detection.detach(),
            "descriptor_loss": description.detach(),
            "positive_similarity": similarity.positive * compared,
            "negative_similarity": similarity.negative * compared,
            "compared": compared,
        }

    def measure(self, model: PointNetwork, device: torch.device) -> dict[str, float]:
        return self._validator.measure(model, device)

    def score(self, measures: Mapping[str, float]) -> float:
        score = 0.5 * (measures["repeatability"] + measures["matching_score"])
        return -math.inf if math.isnan(score) else score

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


def open_task(settings: TrainSettings) -> Task:
    """The task that the settings name."""
    return DetectorTask(settings) if settings.task == "magicpoint" else JointTask(settings)


def _forward(model: PointNetwork, image: Tensor, settings: TrainSettings) -> Output:
    with torch.autocast(image.device.type, torch.bfloat16, enabled=settings.precision == "bfloat16"):
        output: Output = model(image.contiguous(memory_format=torch.channels_last))
    return output


def _detection(
    output: Output,
    keypoints: list[Tensor],
    valid_mask: Tensor,
    settings: TrainSettings,
    certainties: list[Tensor] | None = None,
) -> Tensor:
    height, width = valid_mask.shape[-2:]
    target = labels2Dto3D(draw_keypoint_map(keypoints, (height, width), settings.label_sigma, certainties))
    return detector_loss(output.logits, target, mask_to_cells(valid_mask), settings.loss)


def _description(
    output: Output, batch: PairBatch, settings: JointSettings, generator: torch.Generator
) -> tuple[Tensor, Similarity]:
    assert output.descriptors is not None
    descriptors0, descriptors1 = output.descriptors.chunk(2)
    mask0, mask1 = mask_to_cells(batch.valid_mask0), mask_to_cells(batch.valid_mask1)
    H_0to1 = batch.H_0to1.float()
    if settings.loss == "dense_hinge":
        return dense_hinge_loss(descriptors0, descriptors1, H_0to1, mask0, mask1)
    height, width = batch.image0.shape[-2:]
    drawn = draw_points(batch.keypoints0, (height, width), settings.points, generator)
    points0, points1 = zip(*find_correspondences(drawn, H_0to1, mask0, mask1), strict=True)
    loss = dual_softmax_loss if settings.loss == "dual_softmax" else sparse_loss
    return loss(descriptors0, descriptors1, points0, points1)
