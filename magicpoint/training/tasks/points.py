"""What MagicPoint and SuperPoint have in common: the network, where it begins, and how its detector learns."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ...core.errors import InputError
from ...core.machine import autocast
from ...model.named import NamedNetwork
from ...model.network import Output, PointNetwork
from ...model.weights import architecture_of, load_weights, planar_names, resolve, resolve_planar, weights_hash
from ...model.widen import widen
from ..distributed import over_all
from ..losses.detector import detector_loss
from ..targets import draw_keypoint_map, labels2Dto3D, mask_to_cells
from .base import Batch, Item, RunSettings, Task, TrainingError
from .settings import PointTaskSettings

ALIVE_BY_STEP = 1000
"""From this step on a detector that finds nothing is taken for dead; one that learns finds corners after some 200."""


class PointTask(Task[PointNetwork, Item, Batch]):
    """A task that trains a `PointNetwork`."""

    def __init__(self, settings: PointTaskSettings, run: RunSettings) -> None:
        self._point_settings, self._run = settings, run

    def build_network(self) -> PointNetwork:
        return PointNetwork(self._point_settings.model)

    def start(self, network: PointNetwork, weights: str) -> str:
        return start_from(network, weights)

    def check_measures(self, measures: Mapping[str, float], step: int) -> None:
        if measures["keypoints_per_image"] == 0 and step >= ALIVE_BY_STEP:
            raise TrainingError(f"the detector is dead: no keypoint in any validation image after step {step}")

    def _forward(self, network: PointNetwork, image: Tensor) -> Output:
        with autocast(image.device, self._run.precision):
            output: Output = network(image.contiguous(memory_format=torch.channels_last))
        return output

    def _detector_loss(
        self, output: Output, keypoints: list[Tensor], certainties: list[Tensor], valid_mask: Tensor
    ) -> Tensor:
        height, width = valid_mask.shape[-2:]
        settings = self._point_settings
        target = labels2Dto3D(draw_keypoint_map(keypoints, (height, width), settings.label_sigma, certainties))
        cell_mask = mask_to_cells(valid_mask)
        return over_all(detector_loss(output.logits, target, cell_mask, settings.detector_loss), cell_mask.sum())


def start_from(network: NamedNetwork, weights: str) -> str:
    """Copies weights, a file, a run's folder or a shipped name, into a network; returns their hash.

    Layers that the weights lack keep their values, and layers that the network lacks are passed over. Weights of a
    narrower `PointNetwork` are widened first (`widen`).

    Args:
        network: A `PointNetwork`, or another that has its encoder, whose settings have a `width`.
        weights: Of a network of the same architecture, or of a `PointNetwork`.

    Raises:
        InputError: There are no such weights, or a layer has another shape.
    """
    path = (resolve_planar if weights in planar_names() else resolve)(weights).path
    if architecture_of(path) == network.architecture != PointNetwork.architecture:
        source: NamedNetwork = load_weights(path, type(network))[0]
        copy_weights(source, network, weights)
    else:
        source, width = load_weights(path)[0], network.settings.width
        copy_weights(widen(source, width) if source.settings.width < width else source, network, weights)
    return weights_hash(source.state_dict())


def copy_weights(source: NamedNetwork, network: NamedNetwork, weights: str) -> None:
    """Copies the layers that a network has, too.

    Args:
        source: It stays as it is.
        network: Layers that the source lacks keep their values.
        weights: What the source is called in messages.

    Raises:
        InputError: A layer has another shape.
    """
    tensors, own = source.state_dict(), network.state_dict()
    unfit = [name for name in own if name in tensors and own[name].shape != tensors[name].shape]
    if unfit:
        raise InputError(
            f"cannot start from {weights}: {unfit[0]} is {tuple(tensors[unfit[0]].shape)} there and "
            f"{tuple(own[unfit[0]].shape)} in a network of {network.settings}"
        )
    network.load_state_dict({name: tensors.get(name, own[name]) for name in own})
