"""The grid of cells of 8x8 pixels in which the network sees an image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch
    from torch import Tensor

CELL_SIZE = 8
DUSTBIN = CELL_SIZE * CELL_SIZE
"""Index of the channel that stands for 'no keypoint in this cell'."""

DescriptorSampling = Literal["centres", "legacy"]
"""Where the cells' descriptors are taken to lie, see `decoding.descriptors.sample_descriptors`."""


def cell_centres(rows: int, columns: int, device: torch.device | str = "cpu") -> Tensor:
    """The centres of all cells in raster order, float32 (rows * columns, 2), (x, y) in pixels: 8 i + 3.5."""
    import torch  # here, so that settings can know the grid without it

    y, x = torch.meshgrid(torch.arange(rows, device=device), torch.arange(columns, device=device), indexing="ij")
    return torch.stack((x, y), -1).view(-1, 2) * float(CELL_SIZE) + (CELL_SIZE - 1) / 2
