"""MagicPoint (detector) and SuperPoint (detector and descriptors)."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor
from torch.utils._pytree import _register_namedtuple

from ..core.grid import CELL_SIZE
from .encoder import Encoder, NormPlace
from .heads import DescriptorHead, DetectorHead
from .named import NamedNetwork
from .settings import DESCRIPTOR_DIM, BatchNormLayout, ModelSettings


class Output(NamedTuple):
    """What the network gives for a batch.

    `logits` (B, 65, Hc, Wc); `descriptors` (B, D, Hc, Wc) of length 1, or None without descriptor head.
    """

    logits: Tensor
    descriptors: Tensor | None


# torch.export.save asks for this by name; it has no public name yet.
_register_namedtuple(Output, serialized_type_name=f"{Output.__module__}.{Output.__qualname__}")


_NORMS: dict[BatchNormLayout, tuple[NormPlace | None, bool]] = {
    "all": ("before_relu", True),
    "hidden": ("before_relu", False),
    "none": (None, False),
    "after_relu": ("after_relu", True),
}
"""Where BatchNorm stands in the hidden layers, and whether the heads' outputs have one."""


class PointNetwork(NamedNetwork):
    """Encoder and heads: image (B, 1, H, W) in [0, 1], H and W multiples of 8, to an `Output`."""

    architecture = "points"
    settings_type = ModelSettings
    settings: ModelSettings

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__(settings)
        hidden_norm, output_norm = _NORMS[settings.batch_norm]
        self.encoder = Encoder(settings.width, hidden_norm)
        inputs = self.encoder.channels
        self.detector = DetectorHead(inputs, settings.width, hidden_norm, output_norm)
        self.descriptor: DescriptorHead | None = None
        if settings.descriptor_dim:
            self.descriptor = DescriptorHead(inputs, settings.descriptor_dim, settings.width, hidden_norm, output_norm)

    def forward(self, image: Tensor) -> Output:
        if image.ndim != 4 or image.shape[1] != 1 or image.shape[2] % CELL_SIZE or image.shape[3] % CELL_SIZE:
            raise ValueError(
                f"image must be (B, 1, H, W) with H and W multiples of {CELL_SIZE}, got {tuple(image.shape)}"
            )
        features = self.encoder(image)
        descriptors = self.descriptor(features) if self.descriptor is not None else None
        return Output(self.detector(features), descriptors)


def MagicPoint(width: float = 1.0, batch_norm: BatchNormLayout = "hidden") -> PointNetwork:
    """The detector alone (Toward Geometric Deep SLAM, arXiv 1707.07410; SuperPoint, section 4)."""
    return PointNetwork(ModelSettings(width, batch_norm))


def SuperPoint(
    width: float = 1.0, batch_norm: BatchNormLayout = "hidden", descriptor_dim: int = DESCRIPTOR_DIM
) -> PointNetwork:
    """Detector and descriptors on one encoder (SuperPoint, arXiv 1712.07629, section 3).

    Examples:
        >>> import torch
        >>> output = SuperPoint(0.125).eval()(torch.rand(1, 1, 24, 32))
        >>> output.logits.shape, output.descriptors.shape
        (torch.Size([1, 65, 3, 4]), torch.Size([1, 256, 3, 4]))
    """
    return PointNetwork(ModelSettings(width, batch_norm, descriptor_dim))
