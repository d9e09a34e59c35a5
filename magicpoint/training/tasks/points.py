"""What MagicPoint and SuperPoint have in common: the network, and how its detector learns."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ...core.machine import autocast
from ...model.network import Output, PointNetwork
from ..distributed import over_all
from ..losses.detector import detector_loss
from ..targets import draw_keypoint_map, labels2Dto3D, mask_to_cells
from .base import Batch, Item, RunSettings, Task, TrainingError
from .settings import LabelledTaskSettings, PointTaskSettings

ALIVE_BY_STEP = 1000
"""From this step on a detector that finds nothing is taken for dead; one that learns finds corners after some 200."""


class PointTask(Task[PointNetwork, Item, Batch]):
    """A task that trains a `PointNetwork`."""

    def __init__(self, settings: PointTaskSettings, run: RunSettings) -> None:
        self._point_settings, self._run = settings, run

    def build_network(self) -> PointNetwork:
        return PointNetwork(self._point_settings.model)

    def check_measures(self, measures: Mapping[str, float], step: int) -> None:
        if measures["keypoints_per_image"] == 0 and step >= ALIVE_BY_STEP:
            raise TrainingError(f"the detector is dead: no keypoint in any validation image after step {step}")

    def _forward(self, network: PointNetwork, image: Tensor) -> Output:
        with autocast(image.device, self._run.precision):
            output: Output = network(image.contiguous(memory_format=torch.channels_last))
        return output

    def _detector_loss(self, output: Output, target: Tensor, valid_mask: Tensor) -> Tensor:
        """That of the cells (B, 65, Hc, Wc) where the mask (B, 1, H, W) is valid."""
        cell_mask = mask_to_cells(valid_mask)
        loss = detector_loss(output.logits, target, cell_mask, self._point_settings.detector_loss)
        return over_all(loss, cell_mask.sum())


def label_target(
    keypoints: list[Tensor], certainties: list[Tensor], size_hw: tuple[int, int], settings: LabelledTaskSettings
) -> Tensor:
    """What labels say of each cell, (B, 65, H / 8, W / 8); see `targets.draw_keypoint_map`."""
    return labels2Dto3D(draw_keypoint_map(keypoints, size_hw, settings.label_sigma, certainties))
