"""Descriptor losses: arithmetic on descriptors, positions and masks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...decoding.descriptors import sample_descriptors
from .dense_hinge import DenseHinge, positive_pairs

LEAST_GAP = 0.05
"""Between the mean cosines of descriptors of the same place and of others; below it they are taken for collapsed."""


@dataclass(frozen=True, eq=False)
class Similarity:
    """How alike the descriptors of pairs are, for the log; without gradient.

    `positive` and `negative` are the mean scalar products of descriptors of the same and of different places, in
    [-1, 1], scalar tensors, 0 where there is no such pair. `positives` is the number of positive pairs.
    """

    positive: Tensor
    negative: Tensor
    positives: Tensor

    def collapsed(self, gap: float = LEAST_GAP) -> bool:
        """Whether descriptors of the same place are no more alike, by `gap`, than others; False without positives.

        So are those of an untrained network: the answer counts after some hundreds of steps.
        """
        return bool(self.positives > 0) and not float(self.positive - self.negative) >= gap


def dense_hinge_loss(
    descriptors0: Tensor,
    descriptors1: Tensor,
    H_0to1: Tensor,
    cell_mask0: Tensor | None = None,
    cell_mask1: Tensor | None = None,
    positive_weight: float = 250.0,
    positive_margin: float = 1.0,
    negative_margin: float = 0.2,
    radius: float = 8.0,
) -> tuple[Tensor, Similarity]:
    """Hinge losses between every cell of view 0 and every cell of view 1 (SuperPoint, arXiv 1712.07629, section 3.4).

    With the scalar product s of two descriptors a pair costs positive_weight * max(0, positive_margin - s) if the
    centre of the cell of view 0, mapped by `H_0to1`, lies at most `radius` from that of view 1, else
    max(0, s - negative_margin). The loss is the sum over the pairs of valid cells of all images, divided by their
    number. The paper divides by (Hc Wc)², which is the same where all cells are valid.

    Beside the descriptors and their gradients, about a million similarities are held at a time, whatever the size.

    Args:
        descriptors0: (B, D, Hc, Wc) of length 1, any floating type; computed in at least float32.
        descriptors1: The same of view 1; Hc and Wc may differ.
        H_0to1: float (B, 3, 3).
        cell_mask0: bool (B, Hc, Wc): an invalid cell is in no pair. None: all are valid.
        cell_mask1: The same of view 1.
        positive_weight: The paper's lambda_d.
        positive_margin: Positive pairs cost nothing from this similarity on.
        negative_margin: Negative pairs cost nothing up to this similarity, in [0, 1).
        radius: In pixels.

    Returns:
        The loss, a scalar, and the similarities over all pairs. Without a valid pair the loss is 0.

    Raises:
        ValueError: shapes that do not fit, or a negative margin below 0.
    """
    _check_maps(descriptors0, descriptors1)
    if negative_margin < 0:
        raise ValueError(f"negative_margin must be at least 0, got {negative_margin}")
    with torch.autocast(descriptors0.device.type, enabled=False):
        mask0 = _full_mask(descriptors0, cell_mask0, "cell_mask0")
        mask1 = _full_mask(descriptors1, cell_mask1, "cell_mask1")
        cells0 = _at_least_float32(descriptors0).where(mask0[:, None], 0.0).flatten(2)
        cells1 = _at_least_float32(descriptors1).where(mask1[:, None], 0.0).flatten(2)
        positives = positive_pairs(H_0to1, mask0, mask1, radius)
        margins = (positive_weight, positive_margin, negative_margin)
        total, positive_sum = DenseHinge.apply(cells0, cells1, positives, margins)  # type: ignore[no-untyped-call]
        pairs = (mask0.sum((1, 2)) * mask1.sum((1, 2))).sum()
        with torch.no_grad():
            everything = (cells0.sum(2) * cells1.sum(2)).sum()
            count = torch.tensor(positives.shape[1], device=pairs.device)
            similarity = Similarity(
                positive_sum / count.clamp(min=1),
                (everything - positive_sum) / (pairs - count).clamp(min=1),
                count,
            )
        return total / pairs.clamp(min=1), similarity


def _check_maps(descriptors0: Tensor, descriptors1: Tensor) -> None:
    if descriptors0.ndim != 4 or descriptors1.ndim != 4 or descriptors0.shape[:2] != descriptors1.shape[:2]:
        shapes = f"{tuple(descriptors0.shape)} and {tuple(descriptors1.shape)}"
        raise ValueError(f"descriptors must be two maps (B, D, Hc, Wc) of the same B and D, got {shapes}")


def _full_mask(descriptors: Tensor, cell_mask: Tensor | None, name: str) -> Tensor:
    batch, _, rows, columns = descriptors.shape
    if cell_mask is None:
        return torch.ones(batch, rows, columns, dtype=torch.bool, device=descriptors.device)
    if cell_mask.shape != (batch, rows, columns) or cell_mask.dtype != torch.bool:
        expected = (batch, rows, columns)
        raise ValueError(f"{name} must be bool {expected}, got {cell_mask.dtype} {tuple(cell_mask.shape)}")
    return cell_mask


def _at_least_float32(values: Tensor) -> Tensor:
    return values if values.dtype == torch.float64 else values.float()


def sparse_loss(
    descriptors0: Tensor,
    descriptors1: Tensor,
    points0: Sequence[Tensor],
    points1: Sequence[Tensor],
    margin: float = 1.0,
    hard_negatives: int = 64,
    safe_radius: float = 8.0,
) -> tuple[Tensor, Similarity]:
    """Triplet loss with the hardest negatives of correspondences (after D2-Net, arXiv 1905.03561, equations 7 to 10).

    A correspondence and a negative cost max(0, margin + p² - n²), p the distance of the correspondence's two
    descriptors and n that of one of them from the descriptor of another correspondence in the other view. For
    descriptors of length 1 these squares are 2 - 2 s with the scalar product s. A correspondence costs the mean over
    its hardest negatives from both sides, and the loss is the mean over all correspondences of all images.

    D2-Net takes the one hardest negative. A network that starts from random weights collapses with it, and with 16: all
    descriptors become equal, which makes every cost equal to the margin.

    Args:
        descriptors0: (B, D, Hc, Wc) of length 1, any floating type; computed in at least float32.
        descriptors1: The same of view 1.
        points0: B tensors (N, 2), (x, y) in pixels of view 0, as `find_correspondences` gives them.
        points1: The places of the same points in view 1.
        margin: Squared distance by which a negative is to be farther than the positive.
        hard_negatives: Negatives of each descriptor of a correspondence that count, the most similar ones; what a
            correspondence lacks of them costs nothing.
        safe_radius: Correspondences nearer than this to each other, in pixels, in one view or the other, are no
            negatives.

    Returns:
        The loss, a scalar, and the similarities of all positive and negative pairs, not of the hardest alone. Without
        correspondences the loss is 0.

    Raises:
        ValueError: shapes that do not fit, or fewer than 1 hard negative.
    """
    if hard_negatives < 1:
        raise ValueError(f"hard_negatives must be at least 1, got {hard_negatives}")

    def cost(similarity: Tensor, near: Tensor) -> Tensor:
        negatives = similarity.masked_fill(near, -torch.inf)
        count = max(1, min(hard_negatives, len(near) - 1))
        hardest = torch.cat((negatives.topk(count, 0).values.T, negatives.topk(count, 1).values), 1)
        return (margin + 2.0 * (hardest - similarity.diagonal()[:, None])).clamp(min=0.0).mean(1).sum()

    return _correspondence_loss(descriptors0, descriptors1, points0, points1, safe_radius, cost)


def dual_softmax_loss(
    descriptors0: Tensor,
    descriptors1: Tensor,
    points0: Sequence[Tensor],
    points1: Sequence[Tensor],
    temperature: float = 0.1,
    safe_radius: float = 8.0,
) -> tuple[Tensor, Similarity]:
    """How surely each correspondence is found among all, from both sides (LoFTR, arXiv 2104.00680, section 3.3).

    With the scalar products S of the descriptors of all correspondences of an image, divided by the temperature, a
    correspondence i costs -log softmax(S[i, :])[i] - log softmax(S[:, i])[i]. The loss is the mean over all
    correspondences of all images.

    Args:
        descriptors0: (B, D, Hc, Wc) of length 1, any floating type; computed in at least float32.
        descriptors1: The same of view 1.
        points0: B tensors (N, 2), (x, y) in pixels of view 0, as `find_correspondences` gives them.
        points1: The places of the same points in view 1.
        temperature: Above 0; the smaller, the more the most similar negatives count.
        safe_radius: Correspondences nearer than this to each other, in pixels, in one view or the other, are left out
            of each other's sums.

    Returns:
        The loss, a scalar, and the similarities of all positive and negative pairs. Without correspondences the loss
        is 0.

    Raises:
        ValueError: shapes that do not fit, or a temperature that is not above 0.
    """
    if not temperature > 0:
        raise ValueError(f"temperature must be above 0, got {temperature}")

    def cost(similarity: Tensor, near: Tensor) -> Tensor:
        left_out = near & ~torch.eye(len(near), dtype=torch.bool, device=near.device)
        scores = (similarity / temperature).masked_fill(left_out, -torch.inf)
        return -(scores.log_softmax(0).diagonal().sum() + scores.log_softmax(1).diagonal().sum())

    return _correspondence_loss(descriptors0, descriptors1, points0, points1, safe_radius, cost)


def _correspondence_loss(
    descriptors0: Tensor,
    descriptors1: Tensor,
    points0: Sequence[Tensor],
    points1: Sequence[Tensor],
    safe_radius: float,
    cost: Callable[[Tensor, Tensor], Tensor],
) -> tuple[Tensor, Similarity]:
    """The mean over all correspondences of a cost, which is given, for each image, the similarities and what is near.

    `cost` maps float (N, N), row i and column j for point i of view 0 and j of view 1, and bool (N, N), the pairs
    that are no negatives, the positives among them, to the sum over the N correspondences.
    """
    _check_maps(descriptors0, descriptors1)
    if [len(p) for p in points0] != [len(p) for p in points1]:
        raise ValueError(f"points0 and points1 differ: {[len(p) for p in points0]}, {[len(p) for p in points1]} points")
    device = descriptors0.device
    with torch.autocast(device.type, enabled=False):
        here, there = sample_descriptors(descriptors0, points0), sample_descriptors(descriptors1, points1)
        # A product with nothing keeps the loss differentiable where there is no correspondence.
        total = sum(((d[:0] * 0.0).sum() for d in (*here, *there)), torch.zeros((), device=device))
        sums = torch.zeros(2, device=device)
        negatives = torch.zeros((), dtype=torch.int64, device=device)
        for left, right, *places in zip(here, there, points0, points1, strict=True):
            if not len(left):
                continue
            similarity = left @ right.T
            near = torch.eye(len(left), dtype=torch.bool, device=device)
            for points in places:
                near |= torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist") < safe_radius
            total = total + cost(similarity, near)
            with torch.no_grad():
                sums += torch.stack((similarity.diagonal().sum(), similarity.masked_fill(near, 0.0).sum()))
                negatives += (~near).sum()
        count = torch.tensor(sum(len(d) for d in here), device=device)
        similarities = Similarity(sums[0] / count.clamp(min=1), sums[1] / negatives.clamp(min=1), count)
        return total / count.clamp(min=1), similarities


PLACE_LOSSES: dict[str, Callable[..., tuple[Tensor, Similarity]]] = {
    "dual_softmax": dual_softmax_loss,
    "sparse": sparse_loss,
}
"""By the names of `DescriptorLoss`, those that compare places: descriptor maps (B, D, Hc, Wc) of both views, then
the places in each, as `find_correspondences` gives them. A loss is a function and a row; `dense_hinge`, which compares
all cells with all, is called apart.
"""
