"""Keypoints to the detector's 65-channel targets, and back; pixel masks to cell masks."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core.grid import CELL_SIZE


def draw_keypoint_map(
    keypoints: Sequence[Tensor],
    size_hw: tuple[int, int],
    sigma: float = 0.0,
    certainties: Sequence[Tensor] | None = None,
) -> Tensor:
    """Draws the keypoints of B images on 2-D maps.

    Args:
        keypoints: B tensors (N, 2), (x, y) in pixels; points whose nearest pixel is outside the image are left out.
        size_hw: Height and width of the maps.
        sigma: 0 sets the pixel nearest to a keypoint to 1. A positive value (pixels) draws instead a Gaussian, sampled
            at the pixel centres around the true sub-pixel position, whose values add up to 1 (to 1 % from
            `sigma` 0.5 on): a detector that learns it tells the position between the pixels.
        certainties: B tensors (N,) in [0, 1] by which what is drawn is multiplied; None: 1.

    Returns:
        float32 (B, 1, H, W) in [0, 1] on the keypoints' device.

    Raises:
        ValueError: Keypoints have another shape, the size is empty, or sigma is negative or NaN.

    Examples:
        >>> drawn = draw_keypoint_map([torch.tensor([[5.0, 2.0]])], (16, 16))
        >>> drawn.shape, drawn[0, 0, 2, 5].item()
        (torch.Size([1, 1, 16, 16]), 1.0)
    """
    height, width = size_hw
    if min(height, width) < 1 or not sigma >= 0.0 or any(k.ndim != 2 or k.shape[1] != 2 for k in keypoints):
        shapes = [tuple(k.shape) for k in keypoints]
        raise ValueError(f"needed are (N, 2), a size above 0 and a sigma from 0, got {shapes}, {size_hw} and {sigma}")
    device = keypoints[0].device if keypoints else torch.device("cpu")
    maps = torch.zeros(len(keypoints) * height * width, device=device)
    points = torch.cat([*keypoints, torch.zeros(0, 2, device=device)]).float()
    counts = torch.tensor([len(k) for k in keypoints], device=device)
    image = torch.repeat_interleave(torch.arange(len(keypoints), device=device), counts)
    weights = torch.cat([*(certainties or [torch.ones(len(k), device=device) for k in keypoints]), points.new_zeros(0)])
    nearest = torch.floor(points + 0.5)
    inside = (nearest >= 0).all(1) & (nearest[:, 0] < width) & (nearest[:, 1] < height)
    points, image, nearest, weights = points[inside], image[inside], nearest[inside], weights[inside]
    if sigma <= 0.0:
        flat = (image * height + nearest[:, 1].long()) * width + nearest[:, 0].long()
        maps.scatter_reduce_(0, flat, weights, "amax")
        return maps.view(-1, 1, height, width)
    reach = math.ceil(4.0 * sigma)
    span = torch.arange(-reach, reach + 1, device=device)
    columns, rows = (nearest[:, axis, None] + span for axis in (0, 1))
    along_x, along_y = (
        torch.exp(-((centres - points[:, axis, None]) ** 2) / (2.0 * sigma**2))
        for axis, centres in ((0, columns), (1, rows))
    )
    values = (weights[:, None] * along_y)[:, :, None] * along_x[:, None, :] / (2.0 * math.pi * sigma**2)
    within = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None, :]
    flat = (image[:, None, None] * height + rows.long()[:, :, None]) * width + columns.long()[:, None, :]
    maps.index_add_(0, flat[within], values[within])
    return maps.clamp_(max=1.0).view(-1, 1, height, width)


def labels2Dto3D(keypoint_map: Tensor, cell_size: int = CELL_SIZE, add_dustbin: bool = True) -> Tensor:
    """Rearranges a 2-D keypoint map into one distribution per cell (SuperPoint, arXiv 1712.07629, section 3.3).

    Keypoints of one cell share it in proportion to their values; what they leave of 1 goes to the dustbin.

    Args:
        keypoint_map: (B, 1, H, W) or (B, H, W), values from 0 to 1.
        cell_size: Side of a cell in pixels; H and W are multiples of it.
        add_dustbin: Without it, the values are rearranged and nothing else.

    Returns:
        (B, cell_size**2 + 1, H / cell_size, W / cell_size), or one channel less without dustbin. Channel c is the pixel
        (row c // cell_size, column c % cell_size) of the cell, the last channel the dustbin. With the dustbin the
        channels of each cell add up to 1.

    Raises:
        ValueError: the map is not of that form, or its size is not a multiple of the cell's.

    Examples:
        >>> keypoint_map = torch.zeros(1, 1, 16, 16)
        >>> keypoint_map[0, 0, 2, 5] = 1.0
        >>> target = labels2Dto3D(keypoint_map)
        >>> target.shape
        torch.Size([1, 65, 2, 2])
        >>> target[0, 2 * 8 + 5, 0, 0].item(), target[0, 64, 1, 1].item()  # the keypoint; the dustbin of an empty cell
        (1.0, 1.0)
    """
    if keypoint_map.ndim == 3:
        keypoint_map = keypoint_map[:, None]
    if keypoint_map.ndim != 4 or keypoint_map.shape[1] != 1:
        raise ValueError(f"keypoint_map must be (B, 1, H, W) or (B, H, W), got {tuple(keypoint_map.shape)}")
    _check_multiple(keypoint_map, cell_size)
    cells = F.pixel_unshuffle(keypoint_map.float(), cell_size)
    if not add_dustbin:
        return cells
    mass = cells.sum(1, keepdim=True)
    cells = cells / mass.clamp(min=1.0)
    return torch.cat((cells, (1.0 - mass).clamp(min=0.0)), 1)


def labels3Dto2D(target: Tensor, cell_size: int = CELL_SIZE) -> Tensor:
    """The inverse of `labels2Dto3D`: (B, cell_size**2 [+ 1], Hc, Wc) to (B, 1, H, W), the dustbin left out.

    Raises:
        ValueError: the number of channels fits neither form.

    Examples:
        >>> keypoint_map = torch.rand(1, 1, 16, 24) / 64
        >>> bool((labels3Dto2D(labels2Dto3D(keypoint_map)) == keypoint_map).all())
        True
    """
    if target.ndim != 4 or target.shape[1] - cell_size**2 not in (0, 1):
        raise ValueError(f"target must be (B, {cell_size**2} or {cell_size**2 + 1}, Hc, Wc), got {tuple(target.shape)}")
    return F.pixel_shuffle(target[:, : cell_size**2], cell_size)


def mask_to_cells(valid_mask: Tensor, cell_size: int = CELL_SIZE) -> Tensor:
    """Which cells are valid: those whose pixels are all valid. (B, 1, H, W) bool to (B, Hc, Wc) bool.

    Raises:
        ValueError: the mask is not (B, 1, H, W), or its size is not a multiple of the cell's.

    Examples:
        >>> mask = torch.ones(1, 1, 16, 16, dtype=torch.bool)
        >>> mask[0, 0, 0, 0] = False
        >>> mask_to_cells(mask).tolist()
        [[[False, True], [True, True]]]
    """
    if valid_mask.ndim != 4 or valid_mask.shape[1] != 1:
        raise ValueError(f"valid_mask must be (B, 1, H, W), got {tuple(valid_mask.shape)}")
    _check_multiple(valid_mask, cell_size)
    batch, _, height, width = valid_mask.shape
    cells = valid_mask.bool().view(batch, height // cell_size, cell_size, width // cell_size, cell_size)
    return cells.all(dim=4).all(dim=2)


def _check_multiple(image: Tensor, cell_size: int) -> None:
    height, width = image.shape[-2:]
    if cell_size < 1:
        raise ValueError(f"cell_size must be at least 1, got {cell_size}")
    if height % cell_size or width % cell_size:
        raise ValueError(f"height and width must be multiples of {cell_size}, got {height}x{width}")
