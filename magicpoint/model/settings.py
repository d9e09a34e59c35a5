"""The network's form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..core.errors import InputError
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


@dataclass(frozen=True)
class MatcherForm:
    """The form of a network that matches.

    Args:
        channels: Numbers that it keeps of each keypoint, a multiple of twice the heads.
        layers: Times that the keypoints look at those of their own image, and at those of the other.
        heads: Ways in which they look at once.
    """

    channels: int = 96
    layers: int = 4
    heads: int = 3

    def __post_init__(self) -> None:
        check_kinds(self)
        check_whole(self, 1, "channels", "layers", "heads", most=4096)
        if self.channels % (2 * self.heads):
            raise InputError(f"channels must be a multiple of twice the {self.heads} heads, got {self.channels}")


@dataclass(frozen=True)
class MatcherSettings(MatcherForm):
    """A network that matches, and the features that it is for.

    Args:
        descriptor_dim: Length of their descriptors.
        features: What they were extracted with: the hash of those weights.
    """

    descriptor_dim: int = DESCRIPTOR_DIM
    features: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole(self, 1, "descriptor_dim", most=65536)

    @property
    def form(self) -> MatcherForm:
        """What of them has nothing to do with the features."""
        return MatcherForm(self.channels, self.layers, self.heads)
