"""What flows between the rooms: features, labels, matches."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Self

import torch
from torch import Tensor

from .errors import InputError


@dataclasses.dataclass(frozen=True, eq=False)
class Features:
    """The keypoints of one image; a batch is a list of them.

    Args:
        keypoints: (N, 2) float32, (x, y) in pixels of the original image; the centre of the top-left pixel is (0, 0).
        keypoint_scores: (N,) float32 in [0, 1], the larger the more certain.
        descriptors: (N, D) float32 of unit length, or None from a detector without descriptors.
        image_size: (W, H) of the original image in pixels.
        keypoint_scales: (N,) float32, how many pixels of the original image are one of the image in which a keypoint
            was found; None where that is the original image for all.
        provenance: What made them, as `Extractor.provenance` says it; None where that is not known.

    Raises:
        TypeError: A tensor is not float32.
        ValueError: Shapes do not fit together, or the image size is not two positive whole numbers.

    Examples:
        >>> features = Features(torch.tensor([[3.5, 2.0]]), torch.tensor([0.9]), None, image_size=(160, 120))
        >>> len(features)
        1
    """

    keypoints: Tensor
    keypoint_scores: Tensor
    descriptors: Tensor | None
    image_size: tuple[int, int]
    keypoint_scales: Tensor | None = dataclasses.field(default=None, kw_only=True)
    provenance: Mapping[str, str] | None = dataclasses.field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if self.keypoints.ndim != 2 or self.keypoints.shape[1] != 2:
            raise ValueError(f"keypoints must have shape (N, 2), got {tuple(self.keypoints.shape)}")
        count = self.keypoints.shape[0]
        if tuple(self.keypoint_scores.shape) != (count,):
            raise ValueError(f"keypoint_scores must have shape ({count},), got {tuple(self.keypoint_scores.shape)}")
        if self.descriptors is not None and (self.descriptors.ndim != 2 or self.descriptors.shape[0] != count):
            raise ValueError(f"descriptors must have shape ({count}, D), got {tuple(self.descriptors.shape)}")
        if self.keypoint_scales is not None and tuple(self.keypoint_scales.shape) != (count,):
            raise ValueError(f"keypoint_scales must have shape ({count},), got {tuple(self.keypoint_scales.shape)}")
        for name in ("keypoints", "keypoint_scores", "descriptors", "keypoint_scales"):
            tensor = getattr(self, name)
            if tensor is not None and tensor.dtype != torch.float32:
                raise TypeError(f"{name} must be float32, got {tensor.dtype}")
        if len(self.image_size) != 2 or any(not isinstance(side, int) or side < 1 for side in self.image_size):
            raise ValueError(f"image_size must be two positive whole numbers (W, H), got {self.image_size}")
        if max(self.image_size) >= 2**31:
            raise ValueError(f"image_size must be below 2^31 pixels a side, got {self.image_size}")

    def __len__(self) -> int:
        return self.keypoints.shape[0]

    def at_size(self, image_size: tuple[int, int]) -> Self:
        """The same keypoints in pixels of the image at another size (W, H).

        A pixel's edges, at -1/2 and +1/2 of its centre, scale with the image: x + 1/2 becomes its multiple.
        """
        if image_size == self.image_size:
            return self
        sides = zip(image_size, self.image_size, strict=True)
        ratio = torch.tensor([new / old for new, old in sides], device=self.keypoints.device)
        return dataclasses.replace(self, keypoints=(self.keypoints + 0.5) * ratio - 0.5, image_size=image_size)

    def __repr__(self) -> str:
        width, height = self.image_size
        described = "" if self.descriptors is None else f", descriptors of length {self.descriptors.shape[1]}"
        return f"{type(self).__name__}({len(self)} keypoints{described}, image of {width}x{height})"

    def as_lightglue(self) -> dict[str, Tensor]:
        """One of the two images of the input of LightGlue, the original and kornia's, as a batch of one.

        `matcher({"image0": features0.as_lightglue(), "image1": features1.as_lightglue()})`; its `matches[0]` are
        indices of these keypoints. In both programs the centre of the top-left pixel is (0, 0). LightGlue must have
        been trained on descriptors of the same weights.

        Returns:
            `keypoints` (1, N, 2), `keypoint_scores` (1, N), `descriptors` (1, N, D) and `image_size` (1, 2) as (W, H),
            all float32 on the features' device.

        Raises:
            InputError: There are no descriptors.
        """
        if self.descriptors is None:
            raise InputError("LightGlue needs descriptors, and a detector such as MagicPoint gives none")
        return {
            "keypoints": self.keypoints[None],
            "keypoint_scores": self.keypoint_scores[None],
            "descriptors": self.descriptors[None],
            "image_size": self.keypoints.new_tensor([self.image_size]),
        }

    def to(self, device: torch.device | str) -> Self:
        """The same features with every tensor on `device`."""
        return dataclasses.replace(
            self,
            keypoints=self.keypoints.to(device),
            keypoint_scores=self.keypoint_scores.to(device),
            descriptors=None if self.descriptors is None else self.descriptors.to(device),
            keypoint_scales=None if self.keypoint_scales is None else self.keypoint_scales.to(device),
        )


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Labels(Features):
    """The keypoints of an image to learn from.

    Args:
        valid_mask: (H, W) bool in pixels of the original image. Where it is False nothing is known: neither that there
            is a keypoint nor that there is none.

    Raises:
        ValueError: The mask is not bool or not of the image's size.
    """

    valid_mask: Tensor

    def __post_init__(self) -> None:
        super().__post_init__()
        width, height = self.image_size
        if self.valid_mask.dtype != torch.bool or tuple(self.valid_mask.shape) != (height, width):
            raise ValueError(
                f"valid_mask must be bool {(height, width)}, got {self.valid_mask.dtype} {tuple(self.valid_mask.shape)}"
            )

    def to(self, device: torch.device | str) -> Self:
        """The same labels with every tensor on `device`."""
        return dataclasses.replace(super().to(device), valid_mask=self.valid_mask.to(device))


@dataclasses.dataclass(frozen=True, eq=False)
class Matches:
    """Pairs of keypoints of two images.

    Args:
        matches01: int64 (K, 2): index of the keypoint in image 0 (increasing) and in image 1.
        scores: float32 (K,): the cosine of the two descriptors, or of a learned matcher the chance that they are one.

    Raises:
        ValueError: The shapes are others.
    """

    matches01: Tensor
    scores: Tensor

    def __post_init__(self) -> None:
        if self.matches01.ndim != 2 or tuple(self.matches01.shape) != (len(self.scores), 2):
            found = tuple(self.matches01.shape), tuple(self.scores.shape)
            raise ValueError(f"matches01 must be (K, 2) and scores (K,), got {found[0]} and {found[1]}")

    def __len__(self) -> int:
        return self.matches01.shape[0]

    def __repr__(self) -> str:
        return f"Matches({len(self)} matches)"

    def to(self, device: torch.device | str) -> Matches:
        """The same matches with both tensors on `device`."""
        return Matches(self.matches01.to(device), self.scores.to(device))
