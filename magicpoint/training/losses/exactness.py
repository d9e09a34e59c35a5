"""How exactly the detector places the same corner in two views: arithmetic on heatmaps, positions and a homography."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from homography import warp_points

BACKGROUND = 1e-4
"""Added to every pixel of a window, so that where a heatmap is empty the centre stays and gradients are bounded."""


def mass_centres(heatmap: Tensor, points: Sequence[Tensor], radius: int = 2) -> list[Tensor]:
    """Where a heatmap has its centre of mass around given places; differentiable in the heatmap.

    Args:
        heatmap: float (B, H, W), not negative.
        points: B tensors (N, 2), (x, y) in pixels, inside the image.
        radius: The window around the pixel nearest to a place reaches this far in x and in y; it ends at the image.

    Returns:
        B tensors (N, 2). Of a Gaussian of sigma 0.6 pixels around the place the radius of 2 finds the centre to 0.01
        pixels.
    """
    height, width = heatmap.shape[-2:]
    span = torch.arange(-radius, radius + 1, device=heatmap.device)
    centres = []
    for values, places in zip(heatmap, points, strict=True):
        column, row = (torch.floor(places[:, axis, None] + 0.5).long() + span for axis in (0, 1))
        inside = ((row >= 0) & (row < height))[:, :, None] & ((column >= 0) & (column < width))[:, None, :]
        window = values[row.clamp(0, height - 1)[:, :, None], column.clamp(0, width - 1)[:, None, :]]
        mass = (window + BACKGROUND) * inside
        total = mass.sum((1, 2))
        x, y = (mass.sum(1) * column).sum(1) / total, (mass.sum(2) * row).sum(1) / total
        centres.append(torch.stack((x, y), 1))
    return centres


def exactness_loss(
    heatmap0: Tensor,
    heatmap1: Tensor,
    points0: Sequence[Tensor],
    points1: Sequence[Tensor],
    H_0to1: Tensor,
    radius: int = 2,
) -> Tensor:
    """How far apart, in pixels of view 1, two views place the same corners.

    Each corner costs Huber's function (quadratic up to 1 pixel, linear beyond) of the difference along x and along y
    between its centre of mass in view 1 and that of view 0 under the homography. A label tells where to look and not
    where the corner is: the views have to agree with each other.

    Args:
        heatmap0: float (B, H, W) of view 0, not negative.
        heatmap1: The same of view 1.
        points0: B tensors (N, 2), (x, y) in pixels of view 0, as `find_correspondences` gives them.
        points1: The places of the same points in view 1.
        H_0to1: float (B, 3, 3).
        radius: See `mass_centres`.

    Returns:
        The mean over all corners of all images, a scalar; 0 without corners.

    Raises:
        ValueError: `points0` and `points1` differ in number.
    """
    if [len(p) for p in points0] != [len(p) for p in points1]:
        raise ValueError(f"points0 and points1 differ: {[len(p) for p in points0]}, {[len(p) for p in points1]} points")
    with torch.autocast(heatmap0.device.type, enabled=False):
        here = mass_centres(heatmap0.float(), points0, radius)
        there = mass_centres(heatmap1.float(), points1, radius)
        moved = [warp_points(centres, H) for centres, H in zip(here, H_0to1.float(), strict=True)]
        count = sum(len(centres) for centres in there)
        # A sum, which of nothing is 0 and still differentiable.
        return F.huber_loss(torch.cat(moved), torch.cat(there), reduction="sum") / max(count, 1)
