"""Polyboxes: a centre and four corners, ten numbers, and how a network regresses them from an anchor.

A polybox is (xc, yc, x1, y1, ..., x4, y4): a centre in pixels, and the four corners relative to it, in the order of the
template: its top-left corner first, then clockwise as the template is looked at. An anchor is an axis-aligned box
(xc, yc, w, h). Every function takes tensors with any leading dimensions, is differentiable and stays finite.
"""

from __future__ import annotations

import torch
from torch import Tensor

LARGEST_CODE = 8.0
"""What is decoded of a corner is cut here: e^8 half anchors, far beyond any image."""


def from_corners(corners: Tensor) -> Tensor:
    """Quadrilaterals (..., 4, 2), (x, y) in pixels, as polyboxes (..., 10); the centre is that of their box."""
    centre = (corners.amin(dim=-2) + corners.amax(dim=-2)) / 2
    return torch.cat((centre, (corners - centre[..., None, :]).flatten(-2)), dim=-1)


def to_corners(polyboxes: Tensor) -> Tensor:
    """The corners (..., 4, 2), (x, y) in pixels, of polyboxes (..., 10)."""
    return polyboxes[..., None, :2] + _as_points(polyboxes[..., 2:])


def to_boxes(polyboxes: Tensor) -> Tensor:
    """The smallest axis-aligned boxes (..., 4) around the corners of polyboxes: left, top, right, bottom."""
    corners = to_corners(polyboxes)
    return torch.cat((corners.amin(dim=-2), corners.amax(dim=-2)), dim=-1)


def turned(polyboxes: Tensor) -> Tensor:
    """The same quadrilaterals in all four orders that go around, (..., 10) to (..., 4, 10): number k begins with
    corner k."""
    corners = _as_points(polyboxes[..., 2:])
    orders = torch.stack([corners.roll(-turn, dims=-2).flatten(-2) for turn in range(4)], dim=-2)
    return torch.cat((polyboxes[..., None, :2].expand(*orders.shape[:-1], 2), orders), dim=-1)


def encode(polyboxes: Tensor, anchors: Tensor) -> Tensor:
    """What a network is to say at an anchor for a polybox.

    The centre's offset is divided by the anchor's sides. A corner's offset from the centre is divided by half of them
    and compressed by the odd function sign(c) log(1 + abs(c)): its sign is the corner's side, which a turned template
    changes, and its magnitude grows with the logarithm of the size. So the codes of objects from a quarter to four
    times the anchor's size lie within -1.7 and 1.7.

    Args:
        polyboxes: (..., 10).
        anchors: (..., 4), (xc, yc, w, h), with positive sides.

    Returns:
        (..., 10); `decode` gives the polyboxes back.
    """
    sides = anchors[..., 2:]
    centre = (polyboxes[..., :2] - anchors[..., :2]) / sides
    corners = _as_points(polyboxes[..., 2:]) / (sides[..., None, :] / 2)
    return torch.cat((centre, (corners.sign() * corners.abs().log1p()).flatten(-2)), dim=-1)


def decode(codes: Tensor, anchors: Tensor) -> Tensor:
    """The inverse of `encode`, finite for any finite code.

    Args:
        codes: (..., 10); those of corners are cut to `LARGEST_CODE`.
        anchors: (..., 4), (xc, yc, w, h).

    Returns:
        Polyboxes (..., 10).
    """
    sides = anchors[..., 2:]
    centre = codes[..., :2] * sides + anchors[..., :2]
    corners = _as_points(codes[..., 2:]).clamp(-LARGEST_CODE, LARGEST_CODE)
    corners = corners.sign() * corners.abs().expm1() * (sides[..., None, :] / 2)
    return torch.cat((centre, corners.flatten(-2)), dim=-1)


def box_iou(boxes0: Tensor, boxes1: Tensor) -> Tensor:
    """The intersection over union of axis-aligned boxes, each of the one with each of the other.

    Args:
        boxes0: (N, 4), left, top, right, bottom; a box without area has an IoU of 0 with all.
        boxes1: (M, 4).

    Returns:
        (N, M) in [0, 1].
    """
    first = torch.maximum(boxes0[:, None, :2], boxes1[None, :, :2])
    last = torch.minimum(boxes0[:, None, 2:], boxes1[None, :, 2:])
    shared = (last - first).clamp(min=0).prod(dim=-1)
    areas0, areas1 = ((boxes[:, 2:] - boxes[:, :2]).clamp(min=0).prod(dim=-1) for boxes in (boxes0, boxes1))
    union = areas0[:, None] + areas1[None] - shared
    return shared / union.clamp(min=torch.finfo(union.dtype).tiny)


def _as_points(numbers: Tensor) -> Tensor:
    """(..., 8) as (..., 4, 2)."""
    return numbers.reshape(*numbers.shape[:-1], 4, 2)
