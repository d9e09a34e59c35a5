"""From the network's descriptor map to the descriptors of keypoints."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..core.grid import CELL_SIZE, DescriptorSampling


def legacy_places(keypoints: Tensor, cells_hw: Sequence[int]) -> Tensor:
    """The places whose descriptors other SuperPoints give these keypoints.

    They stretch the map from its first cell's centre to its last's over 8 cells - 4.5 pixels with `align_corners`, half
    a cell more than lies between them: (x - 3.5) / (8 Wc - 4.5) of Wc - 1 steps. So the first cell's descriptor is read
    at its centre, and what is read moves off to the top left, by 3.5 pixels at the last.

    Args:
        keypoints: (N, 2) as (x, y) in pixels.
        cells_hw: (Hc, Wc), the size of the whole map.

    Returns:
        (N, 2), in pixels too.
    """
    height, width = cells_hw
    cells = keypoints.new_tensor([width, height], dtype=torch.float32)
    half = (CELL_SIZE - 1) / 2
    return (keypoints - half) * (CELL_SIZE * (cells - 1) / (CELL_SIZE * cells - (CELL_SIZE + 1) / 2)) + half


def sample_descriptors(
    dense: Tensor, keypoints: Sequence[Tensor], sampling: DescriptorSampling = "centres"
) -> list[Tensor]:
    """Interpolate descriptors bilinearly at the keypoints and scale them to unit length (SuperPoint, section 3.3).

    The centre of cell i is at pixel 8 i + 3.5, so pixel x is at (x - 3.5) / 8 in cells; beyond the outermost centres
    the outermost value holds.

    Args:
        dense: (B, D, Hc, Wc) floating.
        keypoints: For each image (N, 2) as (x, y) in pixels of the network's input, on any device.
        sampling: legacy reads at `legacy_places`.

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
        places = points.to(extent)
        if sampling == "legacy":
            places = legacy_places(places, dense.shape[2:])
        grid = ((2 * places + 1) / extent - 1)[None, None]
        values = F.grid_sample(cells[None].float(), grid, "bilinear", padding_mode="border", align_corners=False)
        sampled.append(F.normalize(values[0, :, 0].T, dim=1))
    return sampled
