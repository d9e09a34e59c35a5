"""The network's form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..core.grid import DescriptorSampling
from ..core.settings import check_kinds, check_range, check_whole

BatchNormLayout = Literal["all", "hidden", "none", "after_relu"]

DESCRIPTOR_DIM = 256
"""Length of the descriptors of the paper (SuperPoint, section 3.3)."""


@dataclass(frozen=True)
class ModelSettings:
    """The network's form.

    Args:
        width: Factor on the channels of every hidden layer; 1 is the paper's network.
        batch_norm: BatchNorm after every convolution (all), after all but the heads' outputs (hidden), nowhere (none),
            or after every ReLU and the heads' outputs, as in rpautrat's SuperPoint in PyTorch (after_relu).
        descriptor_dim: Length of the descriptors; 0 leaves the descriptor head out (MagicPoint).
        descriptor_sampling: Where in the map a keypoint's descriptor is read: between the true centres of the cells
            (centres), or where other projects read theirs (legacy, for weights that are imported, see
            `decoding.descriptors.legacy_places`).
    """

    width: float = 1.0
    batch_norm: BatchNormLayout = "hidden"
    descriptor_dim: int = 0
    descriptor_sampling: DescriptorSampling = "centres"

    def __post_init__(self) -> None:
        check_kinds(self)
        check_range(self, "(0, 4]", "width")
        check_whole(self, 0, "descriptor_dim")
