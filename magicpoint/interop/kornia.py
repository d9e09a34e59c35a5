"""The interface of kornia's local features: what takes a `LocalFeature` takes this in its place."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from ..core.grid import CELL_SIZE
from ..core.types import Features
from ..inference.extractor import Extractor
from ..io.grey import to_grey

SCALE = CELL_SIZE / 2
"""Of every local affine frame: half the side of a cell, upright, since the network tells neither size nor direction."""


class LocalFeature(nn.Module):
    """An extractor as a module that gives what kornia's `LocalFeature` gives, for `LocalFeatureMatcher` and the like.

    Images of a batch rarely have equally many keypoints: behind its own an image has frames of zeros, responses of 0
    and descriptors of zeros, which kornia (0.9 and later) knows as places that are not filled and does not match. A
    batch of one has none of them. No gradient goes through it.

    Args:
        extractor: With descriptors. It stays on its device, which `to` of the module does not change.

    Raises:
        InputError: The extractor has no descriptors.
    """

    def __init__(self, extractor: Extractor) -> None:
        super().__init__()
        extractor.check_describes()
        self.extractor = extractor

    @torch.no_grad()
    def forward(self, img: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Find and describe the keypoints of images.

        Args:
            img: (B, 1, H, W) grey or (B, 3, H, W) red first, floating in [0, 1].
            mask: (B, 1, H, W); no keypoint is found where it is 0. It acts before the best are chosen.

        Returns:
            Frames (B, N, 2, 3), whose last column is the position (x, y), the centre of the top-left pixel being
            (0, 0); responses (B, N), the largest first; descriptors (B, N, D). float32, on the device of `img`.

        Raises:
            ValueError: The image or the mask has another shape, or values are out of range.
        """
        if img.ndim != 4 or (mask is not None and mask.shape != (len(img), 1, *img.shape[2:])):
            shapes = tuple(img.shape), None if mask is None else tuple(mask.shape)
            raise ValueError(f"img must be (B, C, H, W) and mask (B, 1, H, W), got {shapes[0]} and {shapes[1]}")
        found = [self._extract(image, None if mask is None else mask[b, 0]) for b, image in enumerate(img)]
        responses = pad_sequence([features.keypoint_scores for features in found], batch_first=True)
        frames = pad_sequence([_frames(features.keypoints) for features in found], batch_first=True)
        described = [features.descriptors for features in found if features.descriptors is not None]
        return frames.to(img.device), responses.to(img.device), pad_sequence(described, batch_first=True).to(img.device)

    def _extract(self, image: Tensor, mask: Tensor | None) -> Features:
        wanted = None if mask is None else (mask != 0).cpu().numpy()
        return self.extractor.extract(to_grey(image), wanted, mask_margin=0)


def _frames(keypoints: Tensor) -> Tensor:
    """Local affine frames (N, 2, 3) of keypoints (N, 2)."""
    upright = SCALE * torch.eye(2, device=keypoints.device).expand(len(keypoints), 2, 2)
    return torch.cat((upright, keypoints[:, :, None]), dim=2)
