"""What a training step of the detector of quadrilaterals minimises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from .assignment import AssignmentLoss
from .detect import in_frame
from .model import FirstStage, Proposals, QuadNetwork
from .polybox import from_corners
from .polygons import polygon_iou

SAME_IOU = 0.5
"""A proposal with this IoU or more with an object is that object to the second stage."""

JITTER = 0.1
"""Standard deviation by which corners of objects are moved, in lengths of the object, to be proposals as well: so the
second stage has something to learn from before the first finds anything."""

_SMOOTH = 0.1  # where the smooth L1 loss of offsets turns from square to linear, in sides of the quadrilateral


class Assignment(Protocol):
    """`assignment.IouRule` or `assignment.FreeAnchor`."""

    def loss(self, logits: Tensor, codes: Tensor, anchors: Tensor, polyboxes: Tensor) -> AssignmentLoss:
        """The loss of one image; see `assignment.FreeAnchor.loss`."""


class QuadLosses(NamedTuple):
    """Scalars, means over the images or, of the second stage, over its quadrilaterals.

    `positive` and `negative` of the anchors; `decision` and `refinement` of the second stage, 0 without one.
    """

    positive: Tensor
    negative: Tensor
    decision: Tensor
    refinement: Tensor


def quad_losses(
    network: QuadNetwork,
    first: FirstStage,
    objects: Sequence[Tensor],
    assignment: Assignment,
    generator: torch.Generator,
) -> QuadLosses:
    """The losses of a batch.

    Args:
        network: In training.
        first: What it says of the batch.
        objects: For each image the corners of its objects, (G, 4, 2), in pixels; none is ordinary.
        assignment: Which anchors learn which objects.
        generator: On the CPU, of the objects that are moved to be proposals.
    """
    parts = [
        assignment.loss(logits, codes, first.anchors, from_corners(corners))
        for logits, codes, corners in zip(first.logits, first.codes, objects, strict=True)
    ]
    positive, negative = (torch.stack(values).mean() for values in zip(*parts, strict=True))
    if network.settings.stages == 1:
        return QuadLosses(positive, negative, positive.new_zeros(()), positive.new_zeros(()))
    proposals = _with_moved_objects(network.propose(first), objects, generator)
    decision, refinement = second_losses(network, first, proposals, objects)
    return QuadLosses(positive, negative, decision, refinement)


def second_losses(
    network: QuadNetwork, first: FirstStage, proposals: Proposals, objects: Sequence[Tensor]
) -> tuple[Tensor, Tensor]:
    """The losses of the second stage's decisions, and of its refinements of proposals that are objects."""
    if not len(proposals.scores):
        return first.logits.sum() * 0.0, first.logits.sum() * 0.0
    is_object, wanted = match_proposals(proposals, objects)
    frames = network.frames(proposals.corners)
    seen = network.second(first.features, proposals.image, frames)
    decision = F.binary_cross_entropy_with_logits(seen.logits, is_object.float())
    offsets = in_frame(wanted, frames) - in_frame(proposals.corners, frames)
    errors = F.smooth_l1_loss(seen.offsets, offsets, beta=_SMOOTH, reduction="none").mean(dim=(1, 2))
    return decision, torch.where(is_object, errors, 0.0).sum() / is_object.sum().clamp(min=1)


def match_proposals(proposals: Proposals, objects: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Which proposals are objects, bool (N,), and their objects' corners, (N, 4, 2); of the others their own."""
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
    return is_object, wanted


def _with_moved_objects(proposals: Proposals, objects: Sequence[Tensor], generator: torch.Generator) -> Proposals:
    """The proposals, and each object with its corners moved at random."""
    corners = torch.cat([proposals.corners[:0], *objects])
    if not len(corners):
        return proposals
    lengths = (corners.amax(dim=1) - corners.amin(dim=1)).norm(dim=1) / 2**0.5
    noise = torch.randn(corners.shape, generator=generator).to(corners.device) * JITTER
    image = [torch.full((len(quads),), number, device=corners.device) for number, quads in enumerate(objects)]
    return Proposals(
        torch.cat([proposals.image, *image]),
        torch.cat((proposals.corners, corners + noise * lengths[:, None, None])),
        torch.cat((proposals.scores, proposals.scores.new_ones(len(corners)))),
    )
