"""Detector losses: arithmetic on logits, targets and masks."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from .names import DetectorLoss


def detector_loss(
    logits: Tensor, target: Tensor, cell_mask: Tensor | None = None, kind: DetectorLoss = "softmax_bce"
) -> Tensor:
    """The loss of each cell, averaged over the valid cells.

    Args:
        logits: (B, 65, Hc, Wc), any floating type; the loss is computed in at least float32.
        target: (B, 65, Hc, Wc), every cell a distribution.
        cell_mask: bool (B, Hc, Wc), the cells that count; None: all. With no valid cell the loss is 0.
        kind: `softmax_bce`: the sum over the channels of the binary cross-entropy between softmax and target.
            `cross_entropy`: -sum(target * log softmax) (SuperPoint, arXiv 1712.07629, equation 2). `l2`: the sum of
            the squared differences between softmax and target.

    Returns:
        A scalar.

    Raises:
        ValueError: shapes that do not fit, or an unknown kind.

    Examples:
        >>> target = torch.zeros(1, 65, 2, 2)
        >>> target[:, 64] = 1.0  # no keypoint anywhere
        >>> certain = torch.zeros(1, 65, 2, 2)
        >>> certain[:, 64] = 100.0
        >>> detector_loss(certain, target).item() < 1e-6
        True
    """
    if logits.shape != target.shape:
        raise ValueError(f"logits {tuple(logits.shape)} and target {tuple(target.shape)} differ in shape")
    if kind not in CELL_LOSSES:
        raise ValueError(f"unknown detector loss {kind!r}: choose from {', '.join(CELL_LOSSES)}")
    with torch.autocast(logits.device.type, enabled=False):
        logits = logits if logits.dtype == torch.float64 else logits.float()
        cells = CELL_LOSSES[kind](logits, target.to(logits.dtype))
        if cell_mask is None:
            return cells.mean()
        if cell_mask.shape != cells.shape:
            raise ValueError(f"cell_mask must be {tuple(cells.shape)}, got {tuple(cell_mask.shape)}")
        # where, not a product: a cell that does not count must not bring its NaN or infinity along.
        return torch.where(cell_mask, cells, 0.0).sum() / cell_mask.sum().clamp(min=1)


def _softmax_bce(logits: Tensor, target: Tensor) -> Tensor:
    """(B, 65, Hc, Wc) twice -> (B, Hc, Wc).

    log p comes from log_softmax. log(1 - p) = log1p(-p) loses everything as p nears 1, which only the largest channel
    can; there it is logsumexp(the other channels) - logsumexp(all).
    """
    log_p = F.log_softmax(logits, 1)
    largest = logits.argmax(1, keepdim=True)
    is_largest = torch.zeros_like(logits, dtype=torch.bool).scatter_(1, largest, True)
    others = logits.masked_fill(is_largest, -torch.inf).logsumexp(1, keepdim=True)
    everything = logits.logsumexp(1, keepdim=True)
    log_q = torch.log1p(-log_p.exp().masked_fill(is_largest, 0.0))
    log_q = torch.where(is_largest, others - everything, log_q)
    return -(target * log_p + (1.0 - target) * log_q).sum(1)


def _cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    return -(target * F.log_softmax(logits, 1)).sum(1)


def _l2(logits: Tensor, target: Tensor) -> Tensor:
    return ((logits.softmax(1) - target) ** 2).sum(1)


CELL_LOSSES = {
    "softmax_bce": _softmax_bce,
    "cross_entropy": _cross_entropy,
    "l2": _l2,
}
"""What one cell costs, by the names of `DetectorLoss`; a loss is a function and a row."""
