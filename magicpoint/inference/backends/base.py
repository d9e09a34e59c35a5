"""What every engine gives, and what engines share."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from ...decoding.decode import logits_to_heatmap
from ...model.network import Output, PointNetwork
from ..settings import NetworkPrecision


class Maps(NamedTuple):
    """What a backend gives for images.

    `heatmap` (B, H, W) float32 in [0, 1]; `descriptors` (B, D, H/8, W/8) float32 of length 1, or None.
    """

    heatmap: Tensor
    descriptors: Tensor | None


class Network(Protocol):
    """A network that is ready to run. An image gives the same bits whatever else was run before.

    It can be pickled, so that an extractor can be sent to another process.
    """

    settings: str
    """What its results depend on beside the weights, as JSON."""

    def __call__(self, image: Tensor) -> Maps:
        """Image (B, 1, H, W) float32 in [0, 1] on any device, H and W multiples of 8, to maps."""


@dataclass(frozen=True)
class Engine:
    """What an engine takes, and how it makes a network ready to run; `open_network` refuses the rest.

    Args:
        precisions: That it takes.
        open: Makes a network ready: takes a module, the device, one of the precisions, and calibration images or None.
        devices: The types of torch devices on which it runs; None stands for all.
        module: The class of the modules that it takes.
        package: The package that it needs, and the extra that installs it.
    """

    precisions: tuple[NetworkPrecision, ...]
    open: Callable[[Any, torch.device, NetworkPrecision, Sequence[Tensor] | None], Network]
    devices: tuple[str, ...] | None = ("cpu",)
    module: type[nn.Module] = PointNetwork
    package: tuple[str, str] | None = None


def as_json(backend: str, precision: str, **more: str) -> str:
    return json.dumps({"backend": backend, "precision": precision, **more})


def to_maps(output: Output) -> Maps:
    descriptors = None if output.descriptors is None else output.descriptors.float()
    return Maps(logits_to_heatmap(output.logits), descriptors)
