"""What every engine gives, and what engines share."""

from __future__ import annotations

import json
from typing import NamedTuple, Protocol

from torch import Tensor

from ...decoding.decode import logits_to_heatmap
from ...model.network import Output
from ..settings import Backend


class Maps(NamedTuple):
    """What a backend gives for images.

    ``heatmap`` (B, H, W) float32 in [0, 1]; ``descriptors`` (B, D, H/8, W/8) float32 of length 1, or None.
    """

    heatmap: Tensor
    descriptors: Tensor | None


class Network(Protocol):
    """A network that is ready to run. An image gives the same bits whatever else was run before."""

    settings: str
    """What its results depend on beside the weights, as JSON."""

    def __call__(self, image: Tensor) -> Maps:
        """Image (B, 1, H, W) float32 in [0, 1] on any device, H and W multiples of 8, to maps."""


def as_json(backend: Backend, precision: str, **more: str) -> str:
    return json.dumps({"backend": backend, "precision": precision, **more})


def to_maps(output: Output) -> Maps:
    descriptors = None if output.descriptors is None else output.descriptors.float()
    return Maps(logits_to_heatmap(output.logits), descriptors)
