"""What a training step of the detector of quadrilaterals minimises."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from ..training.distributed import in_any, over_all
from .assignment import AssignmentLoss, IouRule, bag_anchors, place_errors
from .detect import in_frame
from .look import corner_loss
from .model import FirstStage, Proposals, QuadNetwork
from .polybox import from_corners
from .polygons import polygon_iou

SAME_IOU = 0.5
"""A proposal with this IoU or more with an object is that object to the second stage."""

SIZE_JITTER, PLACE_JITTER, CORNER_JITTER = 0.1, 0.07, 0.08
"""Standard deviations by which objects are moved to be proposals as well, so that the second stage has something to
learn from before the first finds anything: of the logarithm of the size, and of all corners together and each by itself
in sides of a square of the object's area."""

NEAR = 8
"""So many anchors learn the place of an object beside those that an assignment chooses: a few steps would teach few."""

WEIGHTS = {"positive": 1.0, "negative": 1.0, "place": 0.75, "decision": 1.0, "corner": 0.5, "turn": 0.1}
"""Of the parts in what is minimised: which corner is the first can often not be told."""


class Assignment(Protocol):
    """`assignment.IouRule` or `assignment.FreeAnchor`."""

    def loss(self, logits: Tensor, codes: Tensor, anchors: Tensor, polyboxes: Tensor) -> AssignmentLoss:
        """The loss of one image; see `assignment.FreeAnchor.loss`."""


class QuadLosses(NamedTuple):
    """Scalars, means over the images or, of the second stage, over its quadrilaterals.

    `positive` and `negative` of the anchors, `place` of those that are `NEAR`; `decision`, `corner` and `turn` of
    the second stage, 0 without one.
    """

    positive: Tensor
    negative: Tensor
    place: Tensor
    decision: Tensor
    corner: Tensor
    turn: Tensor

    def total(self) -> Tensor:
        """Their weighted sum, see `WEIGHTS`."""
        return torch.stack([WEIGHTS[name] * value for name, value in self._asdict().items()]).sum()


def quad_losses(
    network: QuadNetwork,
    first: FirstStage,
    objects: Sequence[Tensor],
    assignment: Assignment,
    generators: Sequence[torch.Generator],
) -> QuadLosses:
    """The losses of a batch; where several processes train, each one's part of those of all batches.

    Args:
        network: In training.
        first: What it says of the batch.
        objects: For each image the corners of its objects, (G, 4, 2), in pixels; none is ordinary.
        assignment: Which anchors learn which objects.
        generators: On the CPU, for each image, of its objects that are moved to be proposals.
    """
    parts = [
        assignment.loss(logits, codes, first.anchors, from_corners(corners))
        for logits, codes, corners in zip(first.logits, first.codes, objects, strict=True)
    ]
    positive, negative = (torch.stack(values).mean() for values in zip(*parts, strict=True))
    place = torch.stack([*map(partial(_place, first.anchors), first.codes, objects)]).mean()
    if network.settings.stages == 1:
        return QuadLosses(positive, negative, place, *(positive.new_zeros(()) for _ in range(3)))
    proposals = _with_moved_objects(network.propose(first), objects, generators)
    return QuadLosses(positive, negative, place, *second_losses(network, first, proposals, objects))


def _place(anchors: Tensor, codes: Tensor, corners: Tensor) -> Tensor:
    """How far off the anchors near the objects of an image are, see `place_errors`; 0 without an object."""
    if not len(corners):
        return codes.sum() * 0.0
    polyboxes = from_corners(corners)
    near = bag_anchors(anchors, polyboxes, NEAR)
    wanted = polyboxes[:, None].expand(*near.shape, -1)
    return place_errors(codes[near], wanted, anchors[near], IouRule().beta).mean()


def second_losses(
    network: QuadNetwork, first: FirstStage, proposals: Proposals, objects: Sequence[Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """The losses of the second stage's decisions; of the corners of proposals that are objects, and of the turns by
    which their first corner is that of the template."""
    is_object, wanted, turns = match_proposals(proposals, objects)
    frames = network.frames(proposals.corners)
    seen = network.pooled(first, proposals.image, frames)
    verdict = network.look.judge(seen)
    decision = over_all(F.binary_cross_entropy_with_logits(verdict.logits, is_object.float()), len(is_object))
    # A process without an object goes the way of the others, with none: in its BatchNorm and after it they wait for it.
    if not in_any(bool(is_object.any()), is_object.device):
        return decision, decision * 0.0, decision * 0.0
    maps = network.look.corner_maps(seen[is_object])
    errors, inside = corner_loss(maps, in_frame(wanted[is_object], frames[is_object]))
    corner = torch.where(inside, errors, 0.0).sum() / inside.sum().clamp(min=1)
    turn = F.cross_entropy(verdict.turns[is_object], turns[is_object], reduction="sum") / is_object.sum().clamp(min=1)
    return decision, over_all(corner, inside.sum()), over_all(turn, is_object.sum())


class Matched(NamedTuple):
    """What proposals should have been.

    `is_object` bool (N,); `corners` (N, 4, 2) of their objects, in the order that is nearest to the proposal's, or the
    proposal's own; `turns` int64 (N,), which of these is the template's first.
    """

    is_object: Tensor
    corners: Tensor
    turns: Tensor


def match_proposals(proposals: Proposals, objects: Sequence[Tensor]) -> Matched:
    """Which proposals are objects, by their overlap, and where they should be."""
    is_object = torch.zeros(len(proposals.scores), dtype=torch.bool, device=proposals.corners.device)
    wanted = proposals.corners.clone()
    for number, corners in enumerate(objects):
        chosen = (proposals.image == number).nonzero()[:, 0]
        if not len(corners) or not len(chosen):
            continue
        overlaps = torch.from_numpy(polygon_iou(proposals.corners[chosen].cpu(), corners.cpu()))
        best, owner = (values.to(corners.device) for values in overlaps.max(dim=1))
        same = best >= SAME_IOU
        is_object[chosen[same]] = True
        wanted[chosen[same]] = corners[owner[same]]
    orders = torch.stack([wanted.roll(turn, dims=1) for turn in range(4)], dim=1)
    turns = (orders - proposals.corners[:, None]).square().sum(dim=(2, 3)).argmin(dim=1)
    return Matched(is_object, orders[torch.arange(len(turns), device=turns.device), turns], turns)


def _with_moved_objects(
    proposals: Proposals, objects: Sequence[Tensor], generators: Sequence[torch.Generator]
) -> Proposals:
    """The proposals, and each object with its corners moved at random, any of them first."""
    moved = [_moved(corners, generator) for corners, generator in zip(objects, generators, strict=True)]
    image = [torch.full((len(quads),), number, device=quads.device) for number, quads in enumerate(moved)]
    return Proposals(
        torch.cat([proposals.image, *image]),
        torch.cat([proposals.corners, *moved]),
        torch.cat([proposals.scores, *(proposals.scores.new_ones(len(quads)) for quads in moved)]),
    )


def _moved(corners: Tensor, generator: torch.Generator) -> Tensor:
    """Quadrilaterals (G, 4, 2), each a little elsewhere; of an image they depend on its generator alone."""
    sides = _areas(corners).sqrt()[:, None, None]
    middle = corners.mean(dim=1, keepdim=True)
    size, place, each = (
        torch.randn(shape, generator=generator).to(corners.device)
        for shape in ((len(corners), 1, 1), (len(corners), 1, 2), corners.shape)
    )
    moved = middle + (corners - middle) * (SIZE_JITTER * size).exp()
    moved = moved + (PLACE_JITTER * place + CORNER_JITTER * each) * sides
    first = torch.randint(4, (len(corners), 1), generator=generator).to(corners.device)
    order = (first + torch.arange(4, device=corners.device)) % 4
    return moved.gather(1, order[:, :, None].expand(-1, -1, 2))


def _areas(corners: Tensor) -> Tensor:
    """(N,), of quadrilaterals (N, 4, 2), by the formula of Gauss."""
    x, y = corners.unbind(dim=2)
    areas: Tensor = (x * y.roll(-1, dims=1) - y * x.roll(-1, dims=1)).sum(dim=1).abs() / 2
    return areas
