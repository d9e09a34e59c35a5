"""The dense hinge loss without its matrix: which cells meet, and sums over all pairs with their gradients."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from homography import warp_points

from ...core.grid import CELL_SIZE, cell_centres

PAIRS_AT_ONCE = 1 << 20
"""Pairs of cells whose similarities `dense_hinge_loss` holds at one time: 4 MiB in float32."""

TIE = 1e-3
"""Pixels by which a distance of `radius` may come out too long: between the cells of a shifted image it is exact."""


def positive_pairs(H_0to1: Tensor, cell_mask0: Tensor, cell_mask1: Tensor, radius: float) -> Tensor:
    """The pairs of valid cells whose centres meet, int64 (3, P): image, cell of view 0, cell of view 1; in that order.

    Only the cells around the place where a centre falls are looked at, not all.
    """
    (_, rows0, columns0), (_, rows, columns), device = cell_mask0.shape, cell_mask1.shape, cell_mask1.device
    centres = cell_centres(rows0, columns0, device).double().expand(len(H_0to1), -1, -1)
    place = (warp_points(centres, H_0to1) - (CELL_SIZE - 1) / 2) / CELL_SIZE
    reach = math.ceil(radius / CELL_SIZE)
    offsets = torch.arange(-reach, reach + 2, device=device)
    around = torch.cartesian_prod(offsets, offsets).flip(1)
    # The clamp only keeps what is far outside, or behind the horizon (NaN), within the range of whole numbers.
    nearest = place.nan_to_num(-1e6).clamp(-1e6, 1e6).floor()
    cells = nearest.long()[:, :, None] + around
    near = (cells - place[:, :, None]).norm(dim=-1) * CELL_SIZE <= radius + TIE
    near &= ((cells >= 0) & (cells < torch.tensor([columns, rows], device=device))).all(-1)
    image, cell0, which = near.nonzero(as_tuple=True)
    x, y = cells[image, cell0, which].unbind(1)
    cell1 = y * columns + x
    usable = cell_mask0.flatten(1)[image, cell0] & cell_mask1.flatten(1)[image, cell1]
    return torch.stack((image, cell0, cell1))[:, usable]


class DenseHinge(torch.autograd.Function):
    """Sum of the hinge losses of all pairs, and the sum of the positive pairs' similarities.

    The sum's gradient in the similarities is their sign of cost, so that the gradient in the descriptors is two more
    products with the matrix at hand: it is taken in the forward pass and nothing of the matrix is kept.
    """

    @staticmethod
    def forward(
        ctx: Any, cells0: Tensor, cells1: Tensor, positives: Tensor, margins: tuple[float, float, float]
    ) -> tuple[Tensor, Tensor]:
        """(B, D, N0), (B, D, N1) with invalid cells 0, which cost nothing as their similarity 0 is below the margin."""
        positive_weight, positive_margin, negative_margin = margins
        (batch, _, count0), count1 = cells0.shape, cells1.shape[2]
        step = max(1, PAIRS_AT_ONCE // count1)
        starts = [(image, first) for image in range(batch) for first in range(0, count0, step)]
        flat = positives[0] * count0 + positives[1]
        bounds = [image * count0 + first for image, first in starts]
        bounds = torch.searchsorted(flat, torch.tensor([*bounds, batch * count0], device=flat.device)).tolist()
        gradient0, gradient1 = torch.zeros_like(cells0), torch.zeros_like(cells1)
        total, positive_sum = cells0.new_zeros((), dtype=torch.float64), cells0.new_zeros((), dtype=torch.float64)
        for part, (image, first) in enumerate(starts):
            rows, right = cells0[image, :, first : first + step], cells1[image]
            similarity = rows.T @ right
            _, row, column = positives[:, bounds[part] : bounds[part + 1]]
            matched = (row - first, column)
            positive = similarity[matched]
            cost = (similarity - negative_margin).clamp_(min=0.0)
            cost[matched] = positive_weight * (positive_margin - positive).clamp(min=0.0)
            total += cost.sum()
            positive_sum += positive.sum()
            slope = cost.sign_()
            slope[matched] *= -positive_weight
            gradient0[image, :, first : first + step] = right @ slope.T
            gradient1[image] += rows @ slope
        ctx.save_for_backward(gradient0, gradient1)
        result = total.to(cells0.dtype), positive_sum.to(cells0.dtype)
        ctx.mark_non_differentiable(result[1])
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor, _: Tensor) -> tuple[Tensor, Tensor, None, None]:
        gradient0, gradient1 = ctx.saved_tensors
        return upstream * gradient0, upstream * gradient1, None, None
