"""Which anchors learn which objects: by a rule on their IoU, or by FreeAnchor, which lets the anchors compete.

Both are functions of what the network says at the anchors of one image and of the objects in it, and give that image's
loss, so that a training step can call either.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core.errors import InputError
from .polybox import box_iou, decode, encode, to_boxes, turned

SPREAD = 0.3
"""Errors of codes are measured in this unit, so that the losses of places and of decisions weigh about the same, as the
targets of Fast R-CNN (arXiv 1504.08083, section 2.3) and of those after it are. They have 0.1 for boxes; the corners of
what is turned and tilted are further off, and at 0.1 no anchor is likely enough for FreeAnchor to learn from."""

_BOX_NUMBERS = 4  # of a box, over which the losses of the papers are sums


class AssignmentLoss(NamedTuple):
    """The parts of an image's loss, scalars: of the objects, with their places, and of what is none."""

    positive: Tensor
    negative: Tensor


@dataclass(frozen=True)
class IouRule:
    """Anchors learn by their overlap with the objects (Faster R-CNN, arXiv 1506.01497, section 3.1.2).

    Args:
        positive: An anchor with this IoU or more with an object learns it; so do the best anchors of each object.
        negative: One whose largest IoU is below this learns that there is nothing; those in between learn nothing.
        hardest: So many of the anchors that learn that there is nothing count, those that are surest of an object; the
            paper draws about as many.
        beta: Where the smooth L1 loss of the places turns from square to linear.
    """

    positive: float = 0.7
    negative: float = 0.3
    hardest: int = 128
    beta: float = 1.0 / 9.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.negative <= self.positive <= 1.0 or not self.beta > 0.0:
            raise InputError(f"need 0 <= negative <= positive <= 1 and beta > 0, got {self}")
        if self.hardest < 1:
            raise InputError(f"hardest must be at least 1, got {self.hardest}")

    def assign(self, anchors: Tensor, polyboxes: Tensor) -> Tensor:
        """For each of the anchors (A, 4) the index of its object among (G, 10), -1 for nothing, -2 for no lesson."""
        if not len(polyboxes):
            return torch.full((len(anchors),), -1, device=anchors.device)
        overlaps = box_iou(_anchor_boxes(anchors), to_boxes(polyboxes))
        best, owner = overlaps.max(dim=1)
        assigned = torch.where(best >= self.positive, owner, torch.where(best < self.negative, -1, -2))
        # Of equally good anchors of an object all learn it, but none of an object that no anchor touches.
        of_object = overlaps.amax(dim=0)
        best_anchor, its_object = ((overlaps == of_object) & (of_object > 0)).nonzero(as_tuple=True)
        assigned[best_anchor] = its_object
        return assigned

    def loss(self, logits: Tensor, codes: Tensor, anchors: Tensor, polyboxes: Tensor) -> AssignmentLoss:
        """See `FreeAnchor.loss` for the arguments; both parts are means over the anchors that learn."""
        assigned = self.assign(anchors, polyboxes)
        found = assigned >= 0
        nothing = logits[assigned == -1]
        places = place_errors(codes[found], polyboxes[assigned[found]], anchors[found], self.beta)
        count = found.sum().clamp(min=1)
        alarms = F.softplus(nothing.topk(min(self.hardest, len(nothing))).values)
        return AssignmentLoss((F.softplus(-logits[found]) + places).sum() / count, alarms.sum() / max(1, len(alarms)))


@dataclass(frozen=True)
class FreeAnchor:
    """Each object takes the anchor that does best, in the likelihood that is learnt (FreeAnchor, arXiv 1909.02466).

    Args:
        bag_size: Anchors of highest IoU that compete for an object (section 3.3; 50 there, of anchors that lie closer).
        threshold: IoU below which a decoded box cannot pass for an object (equation 7's t).
        alpha: Weight of the objects' part, 1 - alpha that of the others (section 3.3).
        gamma: Exponent of the focal term.
        beta: Weight of the localisation loss inside its confidence exp(-beta loss) (equation 3).
        smooth: Where its smooth L1 loss turns from square to linear.
    """

    bag_size: int = 24
    threshold: float = 0.6
    alpha: float = 0.5
    gamma: float = 2.0
    beta: float = 0.75
    smooth: float = 0.11

    def __post_init__(self) -> None:
        if self.bag_size < 1 or not 0.0 <= self.threshold < 1.0 or not 0.0 < self.alpha < 1.0:
            raise InputError(f"need bag_size >= 1, threshold in [0, 1) and alpha in (0, 1), got {self}")
        if self.gamma < 0.0 or not self.beta > 0.0 or not self.smooth > 0.0:
            raise InputError(f"gamma must not be negative, beta and smooth must be above 0, got {self}")

    def loss(self, logits: Tensor, codes: Tensor, anchors: Tensor, polyboxes: Tensor) -> AssignmentLoss:
        """The negative log likelihood of one image (equation 8).

        Args:
            logits: (A,), of an object at each anchor.
            codes: (A, 10), see `polybox.encode`.
            anchors: (A, 4), (xc, yc, w, h).
            polyboxes: (G, 10), the objects; none is ordinary.

        Returns:
            The objects' part, a mean over them, and the rest, divided by their number, or 1, times the bag's size.
        """
        probabilities = logits.sigmoid()
        if not len(polyboxes):
            alarms = focal(probabilities, self.gamma).sum() / self.bag_size
            return AssignmentLoss(logits.sum() * 0.0, (1 - self.alpha) * alarms)
        bags = bag_anchors(anchors, polyboxes, self.bag_size)
        error = place_errors(codes[bags], polyboxes[:, None].expand(*bags.shape, -1), anchors[bags], self.smooth)
        likelihood = probabilities[bags] * torch.exp(-self.beta * error)
        recall = -mean_max(likelihood).clamp(min=torch.finfo(likelihood.dtype).tiny).log().mean()
        background = probabilities * (1 - self._object_probability(codes, anchors, polyboxes))
        count = bags.numel()
        return AssignmentLoss(self.alpha * recall, (1 - self.alpha) * focal(background, self.gamma).sum() / count)

    @torch.no_grad()
    def _object_probability(self, codes: Tensor, anchors: Tensor, polyboxes: Tensor) -> Tensor:
        """(A,): how surely the box that an anchor decodes is one of the objects; the assignment has no gradient."""
        overlaps = box_iou(to_boxes(decode(codes, anchors)), to_boxes(polyboxes))
        return saturated_linear(overlaps, self.threshold).amax(dim=1)


def bag_anchors(anchors: Tensor, polyboxes: Tensor, size: int) -> Tensor:
    """For each object (G, 10) the indices (G, K) of its anchors of highest IoU, K the size or all that there are."""
    overlaps = box_iou(to_boxes(polyboxes), _anchor_boxes(anchors))
    return overlaps.topk(min(size, len(anchors)), dim=1).indices


def place_errors(codes: Tensor, polyboxes: Tensor, anchors: Tensor, beta: float) -> Tensor:
    """How far codes are from objects: the smooth L1 loss in units of `SPREAD`, as large as if a box were regressed.

    Of the four orders of an object's corners that go around the nearest counts. What is up on a template that was never
    seen cannot be known from an anchor, and the mean of several orders would be a quadrilateral of no size.

    Args:
        codes: (..., 10).
        polyboxes: (..., 10).
        anchors: (..., 4).
        beta: Where the loss turns from square to linear.

    Returns:
        (...).
    """
    wanted = encode(turned(polyboxes), anchors[..., None, :])
    said = codes[..., None, :].expand_as(wanted)
    errors = F.smooth_l1_loss(said / SPREAD, wanted / SPREAD, beta=beta, reduction="none")
    return _BOX_NUMBERS * errors.mean(dim=-1).amin(dim=-1)


def mean_max(likelihood: Tensor) -> Tensor:
    """Mean-Max over the last dimension (FreeAnchor, equation 6): near the mean for small values, near 1 if one is.

    With weights 1 / (1 - x) it is sum(x / (1 - x)) / sum(1 / (1 - x)).
    """
    weight = 1.0 / (1.0 - likelihood).clamp(min=1e-12)
    return (likelihood * weight).sum(dim=-1) / weight.sum(dim=-1)


def saturated_linear(overlaps: Tensor, threshold: float) -> Tensor:
    """The probability that a box is an object, from IoUs (A, G) (FreeAnchor, equation 7).

    For each object it is 0 up to the threshold, 1 for the box with the largest IoU, and linear in between; where no box
    is above the threshold it is 0 for all.
    """
    best = overlaps.amax(dim=0, keepdim=True)
    span = best - threshold
    share = (overlaps - threshold) / span.clamp(min=1e-12)
    return torch.where(span > 0, share.clamp(0.0, 1.0), torch.zeros_like(overlaps))


def focal(probabilities: Tensor, gamma: float) -> Tensor:
    """-p^gamma log(1 - p), elementwise: what a false alarm of probability p costs (Focal Loss, arXiv 1708.02002)."""
    return -(probabilities**gamma) * torch.log1p(-probabilities.clamp(max=1 - 1e-6))


def _anchor_boxes(anchors: Tensor) -> Tensor:
    """(A, 4), left, top, right, bottom, of anchors (xc, yc, w, h)."""
    return torch.cat((anchors[:, :2] - anchors[:, 2:] / 2, anchors[:, :2] + anchors[:, 2:] / 2), dim=1)
