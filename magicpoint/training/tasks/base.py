"""What every task is, and what tasks share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils.data import Dataset

from ...core.errors import MagicpointError
from ...model.network import Output, PointNetwork
from ..losses.detector import detector_loss
from ..settings import TrainSettings
from ..targets import draw_keypoint_map, labels2Dto3D, mask_to_cells

ALIVE_BY_STEP = 1000
"""From this step on a detector that finds nothing is taken for dead; one that learns finds corners after some 200."""


class TrainingError(MagicpointError, RuntimeError):
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


def run_network(model: PointNetwork, image: Tensor, settings: TrainSettings) -> Output:
    with torch.autocast(image.device.type, torch.bfloat16, enabled=settings.precision == "bfloat16"):
        output: Output = model(image.contiguous(memory_format=torch.channels_last))
    return output


def detection_loss(
    output: Output,
    keypoints: list[Tensor],
    valid_mask: Tensor,
    settings: TrainSettings,
    certainties: list[Tensor],
) -> Tensor:
    height, width = valid_mask.shape[-2:]
    target = labels2Dto3D(draw_keypoint_map(keypoints, (height, width), settings.label_sigma, certainties))
    return detector_loss(output.logits, target, mask_to_cells(valid_mask), settings.loss)
