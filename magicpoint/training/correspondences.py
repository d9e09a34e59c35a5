"""Places of one view and where another view shows them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from homography import warp_points

from ..core.grid import CELL_SIZE


def draw_points(
    keypoints: Sequence[Tensor], size_hw: tuple[int, int], count: int, generator: torch.Generator
) -> list[Tensor]:
    """Chooses the places of view 0 at which descriptors are compared: keypoints, and random ones beside them.

    Args:
        keypoints: B tensors (N, 2), (x, y) in pixels.
        size_hw: Height and width of the images.
        count: Places of each image. At most half of them are keypoints, chosen at random; the others are uniform over
            the grid of pixel centres, [0, W - 1] x [0, H - 1].
        generator: On the CPU, so that every device gets the same places.

    Returns:
        B float32 tensors (count, 2) on the keypoints' devices.
    """
    height, width = size_hw
    extent = torch.tensor([width - 1.0, height - 1.0])
    chosen = []
    for points in keypoints:
        order = torch.randperm(len(points), generator=generator)[: count // 2]
        random = torch.rand(count - len(order), 2, generator=generator) * extent
        chosen.append(torch.cat((points[order.to(points.device)].float(), random.to(points.device))))
    return chosen


def find_correspondences(
    points0: Sequence[Tensor], H_0to1: Tensor, cell_mask0: Tensor, cell_mask1: Tensor
) -> list[tuple[Tensor, Tensor]]:
    """The points of view 0 that have valid descriptors in both views, with their places in view 1.

    A point counts where it and its image under `H_0to1` lie in the grid of pixel centres, and no invalid cell has a
    part in the descriptors interpolated there.

    Args:
        points0: B tensors (N, 2), (x, y) in pixels of view 0.
        H_0to1: float (B, 3, 3).
        cell_mask0: bool (B, Hc, Wc), the valid cells of view 0.
        cell_mask1: The same of view 1.

    Returns:
        For each image the points that count and their images under `H_0to1`, two float32 tensors (M, 2), M <= N.

    Raises:
        ValueError: shapes that do not fit.
    """
    if not len(points0) == len(H_0to1) == len(cell_mask0) == len(cell_mask1):
        counts = (len(points0), len(H_0to1), len(cell_mask0), len(cell_mask1))
        raise ValueError(f"points0, H_0to1, cell_mask0 and cell_mask1 are for {counts} images")
    found = []
    for image, points in enumerate(points0):
        there = warp_points(points.float(), H_0to1[image])
        usable = _in_valid_cells(points, cell_mask0[image]) & _in_valid_cells(there, cell_mask1[image])
        found.append((points[usable].float(), there[usable]))
    return found


def _in_valid_cells(points: Tensor, cell_mask: Tensor) -> Tensor:
    """Which of (N, 2) points lie in the image and between valid cells (Hc, Wc) only: bool (N,)."""
    rows, columns = cell_mask.shape
    last = torch.tensor([columns, rows], device=points.device) * CELL_SIZE - 1
    inside = ((points >= 0) & (points <= last)).all(1)
    place = ((points.where(inside[:, None], 0.0) - (CELL_SIZE - 1) / 2) / CELL_SIZE).clamp(min=0.0)
    place = place.minimum(torch.tensor([columns - 1, rows - 1], device=points.device))
    # The cells of weight 0 to the right of and below a centre are left out by ceil.
    (left, top), (right, bottom) = place.floor().long().T, place.ceil().long().T
    valid = cell_mask[top, left] & cell_mask[top, right] & cell_mask[bottom, left] & cell_mask[bottom, right]
    return inside & valid
