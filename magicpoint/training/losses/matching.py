"""The loss of a matcher (LightGlue, arXiv 2306.13643, section 3.3)."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ...model.matcher import Assignment


class MatchingLoss(NamedTuple):
    """Means over the pairs: of the keypoints with a counterpart, and of those without one."""

    matched: Tensor
    unmatched: Tensor


def matching_loss(assignment: Assignment, targets0: Tensor, targets1: Tensor) -> MatchingLoss:
    """The negative logarithms of the chances of what is true.

    Args:
        assignment: Of one layer.
        targets0: int64 (B, N): the number of the counterpart in image 1, -1 where there is none, less where that is not
            known.
        targets1: (B, M), likewise; the two agree.
    """
    similarity, matchable0, matchable1 = assignment
    matched, image = targets0 >= 0, torch.arange(len(targets0), device=targets0.device)[:, None]
    counterpart = targets0.clamp_min(0)
    by_row = similarity.logsumexp(dim=2)
    by_column = similarity.logsumexp(dim=1)
    chance = (
        2 * similarity.gather(2, counterpart[..., None])[..., 0]
        - by_row
        - by_column[image, counterpart]
        + F.logsigmoid(matchable0)
        + F.logsigmoid(matchable1)[image, counterpart]
    )
    without = _mean(-F.logsigmoid(-matchable0), targets0 == -1) + _mean(-F.logsigmoid(-matchable1), targets1 == -1)
    return MatchingLoss(_mean(-chance, matched), 0.5 * without)


def _mean(values: Tensor, chosen: Tensor) -> Tensor:
    """The mean over the pairs of the mean over what is chosen of each; of a pair without any it is 0."""
    return ((values * chosen).sum(dim=1) / chosen.sum(dim=1).clamp_min(1)).mean()


def confidence_loss(logits: Tensor, best: Tensor, final: Tensor, mask: Tensor | None) -> Tensor:
    """How badly a layer says of which keypoints it knows already what the last layer will say (LightGlue, 3.4).

    Args:
        logits: (B, N), of knowing it.
        best: int64 (B, N), what this layer says.
        final: int64 (B, N), what the last one says.
        mask: bool (B, N), where there are keypoints; None: everywhere.
    """
    loss = F.binary_cross_entropy_with_logits(logits, (best == final).float(), reduction="none")
    return loss.mean() if mask is None else _mean(loss, mask)
