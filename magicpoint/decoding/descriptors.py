"""From the network's descriptor map to the descriptors of keypoints."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..core.grid import CELL_SIZE


def sample_descriptors(dense: Tensor, keypoints: Sequence[Tensor]) -> list[Tensor]:
    """Interpolate descriptors bilinearly at the keypoints and scale them to unit length (SuperPoint, section 3.3).

    The centre of cell i is at pixel 8 i + 3.5, so pixel x is at (x - 3.5) / 8 in cells; beyond the outermost centres
    the outermost value holds.

    Args:
        dense: (B, D, Hc, Wc) floating.
        keypoints: For each image (N, 2) as (x, y) in pixels of the network's input, on any device.

    Returns:
        For each image (N, D) float32 of unit length on the device of `dense`.

    Raises:
        ValueError: The shapes are not these.

    Examples:
        >>> dense = torch.randn(1, 256, 3, 4)
        >>> [descriptors] = sample_descriptors(dense, [torch.tensor([[3.5, 3.5], [20.0, 10.0]])])
        >>> descriptors.shape
        torch.Size([2, 256])
    """
    if dense.ndim != 4 or len(keypoints) != len(dense):
        raise ValueError(
            f"need dense (B, D, Hc, Wc), B keypoints; got {tuple(dense.shape)}, {len(keypoints)} keypoints"
        )
    # grid_sample's unit of the grid, with align_corners=False, is half the map: its edges are the pixels' outer edges.
    extent = torch.tensor([dense.shape[3], dense.shape[2]], dtype=torch.float32, device=dense.device) * CELL_SIZE
    sampled = []
    for cells, points in zip(dense, keypoints, strict=True):
        if points.ndim != 2 or points.shape[1] != 2:
            raise ValueError(f"keypoints must have shape (N, 2), got {tuple(points.shape)}")
        grid = ((2 * points.to(extent) + 1) / extent - 1)[None, None]
        values = F.grid_sample(cells[None].float(), grid, "bilinear", padding_mode="border", align_corners=False)
        sampled.append(F.normalize(values[0, :, 0].T, dim=1))
    return sampled
