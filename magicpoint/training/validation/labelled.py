"""The measures by which the training of a detector on labelled images judges itself, on those that are held out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from ...core.grid import CELL_SIZE
from ...data.labelled_images import LabelledImages
from ...data.samples import TrainingSample, are_visible
from ...decoding.decode import decode, logits_to_heatmap
from ...decoding.settings import DecodeSettings
from ...io.grey import pad_to_multiple
from ...measures.detection import LOWEST_SCORE, ImageOutcome, match_detections, summarize_outcomes
from ...model.network import PointNetwork

TOLERANCE = 2.0
MOST_IMAGES = 64
"""Of more held-out images every second, third, ... is looked at, so that a validation takes seconds."""


class LabelledValidator:
    """Measures a detector on the same images each time, at their own size.

    Args:
        dataset: The images.
        indices: Those of them to take.
    """

    def __init__(self, dataset: LabelledImages, indices: Sequence[int]) -> None:
        self._dataset = dataset
        self._indices = indices[:: -(-len(indices) // MOST_IMAGES)]

    def measure(self, model: PointNetwork, device: torch.device) -> dict[str, float]:
        """Runs the network in evaluation mode and leaves it in the mode in which it was.

        Returns:
            `ap`, of all detections; `precision`, `recall` and `localization_error` (pixels), of those above the
            decoder's threshold; all at 2 px, nan where nothing defines them; and `keypoints_per_image`.
        """
        training = model.training
        model.eval()
        try:
            outcomes = [self._look(model, device, self._dataset[index]) for index in self._indices]
        finally:
            model.train(training)
        scores = summarize_outcomes(outcomes, DecodeSettings().threshold)
        names = ("ap", "precision", "recall", "localization_error", "keypoints_per_image")
        return {name: getattr(scores, name) for name in names}

    def _look(self, model: PointNetwork, device: torch.device, sample: TrainingSample) -> ImageOutcome:
        points, scores = _detect(model, device, sample.image)
        seen = are_visible(points, sample.valid_mask)
        height, width = sample.image.shape
        border = DecodeSettings().border
        return match_detections((points[seen], scores[seen]), sample.keypoints, TOLERANCE, border, (width, height))


@torch.inference_mode()
def _detect(
    model: PointNetwork, device: torch.device, image: NDArray[np.uint8]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    height, width = image.shape
    padded = pad_to_multiple(image, CELL_SIZE)
    tensor = torch.from_numpy(padded)[None, None].to(device).float() / 255.0
    heatmap = logits_to_heatmap(model(tensor.contiguous(memory_format=torch.channels_last)).logits)
    [(points, scores)] = decode(heatmap, DecodeSettings(threshold=LOWEST_SCORE), image_sizes=[(width, height)])
    return points.cpu().numpy(), scores.cpu().numpy()
