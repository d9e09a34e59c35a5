"""The measures by which a training run judges itself, on images that it never trains on."""

from __future__ import annotations

import dataclasses
import math
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from synthetic_shapes import SHAPES_WITH_KEYPOINTS, Sample

from ...data.pinned_images import CONDITIONS, VALIDATION
from ...decoding.decode import decode, logits_to_heatmap
from ...decoding.settings import DecodeSettings
from ...measures.detection import LOWEST_SCORE, Detections, DetectionScores, score_against_truth
from ...measures.statistics import mean_of_defined
from ...model.network import PointNetwork

TOLERANCE = 2.0
IMAGES_PER_SHAPE = 24
BATCH_SIZE = 32


class Validator:
    """Measures a detector on the same images each time: 24 of each shape with keypoints, under each condition.

    The images are rendered when they are first needed, and are the same whatever the training run.
    """

    def __init__(self, size_hw: tuple[int, int]) -> None:
        """The images have this height and width in pixels, multiples of 8."""
        if size_hw[0] % 8 or size_hw[1] % 8:
            raise ValueError(f"size_hw must be multiples of 8, got {size_hw[0]}x{size_hw[1]}")
        self._images = dataclasses.replace(VALIDATION, size_hw=size_hw)

    @cached_property
    def _samples(self) -> dict[str, list[list[Sample]]]:
        """For each condition, for each shape, its samples."""
        shapes = [self._images.under_all(shape, range(IMAGES_PER_SHAPE)) for shape in SHAPES_WITH_KEYPOINTS]
        return {condition: [shape[condition] for shape in shapes] for condition in CONDITIONS}

    def measure(self, model: PointNetwork, device: torch.device) -> dict[str, float]:
        """Runs the network in evaluation mode and leaves it in the mode in which it was.

        Returns:
            For each condition, as `ap_clean`, `ap` (at 2 px, mean over the shapes) and `localization_error` (pixels,
            mean over the shapes that have a match, of the detections above the decoder's threshold; nan without one);
            and `keypoints_per_image` (mean number of those detections).
        """
        training = model.training
        model.eval()
        try:
            scores = {
                condition: [self._score(model, device, samples) for samples in shapes]
                for condition, shapes in self._samples.items()
            }
        finally:
            model.train(training)
        measures = {
            f"{name}_{condition}": mean_of_defined([getattr(shape, name) for shape in scores[condition]])
            for name in ("ap", "localization_error")
            for condition in CONDITIONS
        }
        counts = [shape.keypoints_per_image for condition in CONDITIONS for shape in scores[condition]]
        return {**measures, "keypoints_per_image": math.fsum(counts) / len(counts)}

    def _score(self, model: PointNetwork, device: torch.device, samples: list[Sample]) -> DetectionScores:
        settings = DecodeSettings()
        detections = _detect(model, device, [sample.image for sample in samples], settings)
        truths = [sample.keypoints for sample in samples]
        image_size = self._images.image_size
        return score_against_truth(detections, truths, TOLERANCE, settings.border, image_size, settings.threshold)


@torch.inference_mode()
def _detect(
    model: PointNetwork, device: torch.device, images: list[NDArray[np.uint8]], settings: DecodeSettings
) -> list[Detections]:
    settings = dataclasses.replace(settings, threshold=LOWEST_SCORE)
    found: list[Detections] = []
    for start in range(0, len(images), BATCH_SIZE):
        batch = torch.from_numpy(np.stack(images[start : start + BATCH_SIZE])[:, None]).to(device).float() / 255.0
        heatmap = logits_to_heatmap(model(batch.contiguous(memory_format=torch.channels_last)).logits)
        found += [(points.cpu().numpy(), scores.cpu().numpy()) for points, scores in decode(heatmap, settings)]
    return found
