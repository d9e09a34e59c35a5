"""The frame of a quadrilateral: the unit square laid over it, in which features are pooled and corners refined."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from homography import warp_points

from .settings import Pooling

UNIT_SQUARE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
"""The corners in the template's own order."""

CONTEXT = 1.5
"""What is pooled is so many times as wide and high as the quadrilateral: its edges and what is just beyond tell it."""

_LEAST_SINE, _LEAST_AREA = 0.25, 1.0  # of a parallelogram that is no box: its angle's, and pixels
_LEAST_TURN = 1e-3  # of a corner of a convex quadrilateral: its sine


def square_to_quad(corners: Tensor) -> Tensor:
    """The homographies that lay the unit square over quadrilaterals (Heckbert, 1989, section 2.2.3).

    Args:
        corners: (N, 4, 2), (x, y), convex.

    Returns:
        (N, 3, 3), from (u, v, 1), the corners in the order of `UNIT_SQUARE`, with a last entry of 1.
    """
    first, second, third, fourth = corners.unbind(1)
    side0, side1, excess = second - third, fourth - third, first - second + third - fourth
    determinant = _cross(side0, side1)
    g, h = _cross(excess, side1) / determinant, _cross(side0, excess) / determinant
    along, down = second - first + g[:, None] * second, fourth - first + h[:, None] * fourth
    upper = torch.stack((along, down, first), dim=2)
    lower = torch.stack((g, h, torch.ones_like(g)), dim=1)
    return torch.cat((upper, lower[:, None]), dim=1)


def box_frames(corners: Tensor) -> Tensor:
    """The same for the axis-aligned boxes around quadrilaterals, at least a pixel wide and high."""
    least, most = corners.amin(dim=1), corners.amax(dim=1)
    sides = (most - least).clamp(min=1.0)
    zero, one = torch.zeros_like(sides[:, 0]), torch.ones_like(sides[:, 0])
    rows = [(sides[:, 0], zero, least[:, 0]), (zero, sides[:, 1], least[:, 1]), (zero, zero, one)]
    return torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)


def rectified_frames(corners: Tensor) -> Tensor:
    """`square_to_quad` of what is convex, `box_frames` of what is not: a proposal may have any four corners."""
    convex = is_convex(corners)
    safe = torch.where(convex[:, None, None], corners, corners.new_tensor(UNIT_SQUARE))
    return torch.where(convex[:, None, None], square_to_quad(safe), box_frames(corners))


def parallelogram_frames(corners: Tensor) -> Tensor:
    """The frames of the parallelograms that lie nearest to quadrilaterals, and `box_frames` of what is nearly flat.

    Their sides are the means of opposite sides. Where corners are known roughly, as those of a proposal are, the
    perspective that they imply is mostly error, and stretches what is pooled.
    """
    first, second, third, fourth = corners.unbind(1)
    across, down = (second - first + third - fourth) / 2, (fourth - first + third - second) / 2
    origin = corners.mean(dim=1) - (across + down) / 2
    area = _cross(across, down).abs()
    flat = area < _LEAST_SINE * across.norm(dim=1) * down.norm(dim=1) + _LEAST_AREA
    columns = torch.stack((across, down, origin), dim=2)
    last = columns.new_tensor([0.0, 0.0, 1.0]).expand(len(columns), 1, 3)
    return torch.where(flat[:, None, None], box_frames(corners), torch.cat((columns, last), dim=1))


def is_convex(corners: Tensor) -> Tensor:
    """Which quadrilaterals (N, 4, 2) turn the same way at all four corners, and clearly so: bool (N,)."""
    edges = corners.roll(-1, dims=1) - corners
    lengths = edges.norm(dim=2).clamp(min=1e-6)
    turns = _cross(edges, edges.roll(-1, dims=1)) / (lengths * lengths.roll(-1, dims=1))
    convex: Tensor = (turns > _LEAST_TURN).all(dim=1) | (turns < -_LEAST_TURN).all(dim=1)
    return convex


def pool(features: Tensor, image: Tensor, frames: Tensor, side: int, cell: int) -> Tensor:
    """The features under quadrilaterals, each rectified to a square.

    Args:
        features: (B, C, H / cell, W / cell).
        image: int64 (N,), the number of each quadrilateral's image.
        frames: (N, 3, 3), from the unit square to pixels.
        side: Samples each way of the square and its surroundings, see `CONTEXT`.
        cell: Pixels of a cell of the features, each way.

    Returns:
        (N, C, side, side), interpolated bilinearly; beyond the outermost cells' centres the outermost value holds.
        Differentiable in the features, not in the frames.
    """
    steps = ((torch.arange(side, device=features.device) + 0.5) / side - 0.5) * CONTEXT + 0.5
    v, u = torch.meshgrid(steps, steps, indexing="ij")
    grid = torch.stack((u, v), dim=2).view(1, -1, 2).expand(len(frames), -1, -1)
    places = warp_points(grid.double(), frames.detach().double()).nan_to_num(nan=-1e6).clamp(-1e6, 1e6)
    extent = torch.tensor([features.shape[3], features.shape[2]], device=features.device) * cell
    # grid_sample's unit, with align_corners=False, is half the map; its edges are the pixels' outer edges.
    units = ((2 * places + 1) / extent - 1).to(features.dtype).view(len(frames), side, side, 2)
    pooled = torch.zeros(len(frames), features.shape[1], side, side, device=features.device)
    for number in sorted(set(image.tolist())):
        chosen = image == number
        # All samples of an image in one row: one call an image, and the map is not copied for each quadrilateral.
        row = units[chosen].reshape(1, 1, -1, 2)
        one = features[number][None].float()  # as autocast has it
        sampled = F.grid_sample(one, row.float(), "bilinear", padding_mode="border", align_corners=False)
        pooled[chosen] = sampled.view(features.shape[1], -1, side, side).transpose(0, 1)
    return pooled


FRAMES: dict[Pooling, Callable[[Tensor], Tensor]] = {
    "parallelogram": parallelogram_frames,
    "rectified": rectified_frames,
    "upright": box_frames,
}


def _cross(a: Tensor, b: Tensor) -> Tensor:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
