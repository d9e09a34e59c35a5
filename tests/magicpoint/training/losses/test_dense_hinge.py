"""The dense hinge loss, on cases that can be checked on paper and against its plain form."""

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from homography import sample_homography, warp_points
from magicpoint.core.grid import cell_centres
from magicpoint.training.losses import dense_hinge
from magicpoint.training.losses.descriptors import dense_hinge_loss

IDENTITY = torch.eye(3, dtype=torch.float64)[None]


def shift(x, y):
    return torch.tensor([[[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]]], dtype=torch.float64)


def random_homographies(batch, rows, columns, seed=0):
    return torch.from_numpy(sample_homography((columns * 8, rows * 8), np.random.default_rng(seed), count=batch))


def random_masks(batch=2, rows=6, columns=8):
    generator = torch.Generator().manual_seed(7)
    return [torch.rand(batch, rows, columns, generator=generator) > 0.3 for _ in range(2)]


def plain_dense_hinge(descriptors0, descriptors1, H_0to1, mask0, mask1):
    """The formula of the paper with all pairs at once."""
    batch, _, rows, columns = descriptors0.shape
    centres = cell_centres(rows, columns).double()
    warped = warp_points(centres.expand(batch, -1, -1), H_0to1)
    same = (warped[:, :, None] - centres).norm(dim=-1) <= 8 + 1e-3
    similarity = torch.einsum("bdij,bdkl->bijkl", descriptors0, descriptors1).view(same.shape)
    cost = torch.where(same, 250 * (1 - similarity).clamp(min=0), (similarity - 0.2).clamp(min=0))
    valid = mask0.flatten(1)[:, :, None] & mask1.flatten(1)[:, None]
    return cost[valid].sum() / valid.sum(), similarity[valid & same].mean(), similarity[valid & ~same].mean()


class LargestTensor(TorchDispatchMode):
    """Notes the bytes of the largest tensor that any operation makes."""

    def __init__(self):
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        result = function(*arguments, **(keywords or {}))
        for leaf in tree_leaves(result):
            # A view, and an expanded one at that, takes no room.
            if isinstance(leaf, torch.Tensor):
                self.bytes = max(self.bytes, leaf.untyped_storage().nbytes())
        return result


def test_under_the_identity_the_positives_are_a_cell_and_its_neighbours_at_8_pixels(one_hot):
    # 2 x 3 cells have 3 vertical and 4 horizontal pairs of neighbours: 6 + 2 * 7 = 20 positive pairs, 16 negative ones.
    # One-hot descriptors: a cell with itself costs nothing, the 14 neighbours 250 each, the negatives nothing.
    cells = one_hot(2, 3)
    loss, similarity = dense_hinge_loss(cells, cells, IDENTITY)
    assert loss.item() == pytest.approx(250 * 14 / 36)
    assert similarity.positives.item() == 20
    assert similarity.positive.item() == pytest.approx(6 / 20)
    assert similarity.negative.item() == 0
    # Equal descriptors: the positives cost nothing, the 16 negatives 1 - 0.2 each.
    equal = torch.ones(1, 1, 2, 3)
    loss, similarity = dense_hinge_loss(equal, equal, IDENTITY)
    assert loss.item() == pytest.approx(16 * 0.8 / 36)
    assert (similarity.positive.item(), similarity.negative.item()) == (1, 1)


def test_a_shift_by_one_cell_matches_each_cell_with_the_next(one_hot):
    cells0 = one_hot(2, 3)
    cells1 = cells0.roll(1, dims=3)
    loss, similarity = dense_hinge_loss(cells0, cells1, shift(8.0, 0.0), radius=4.0)
    # The two cells that the roll brought from the right to the left are alike and negative.
    assert loss.item() == pytest.approx(2 * 0.8 / 36)
    assert similarity.positives.item() == 4
    assert similarity.positive.item() == 1
    # The wrong way round, no positive pair is alike, and the six that are alike are negative.
    loss, _ = dense_hinge_loss(cells0, cells1, shift(-8.0, 0.0), radius=4.0)
    assert loss.item() == pytest.approx((4 * 250 + 6 * 0.8) / 36)


@pytest.mark.parametrize("pairs_at_once", [1 << 20, 7 * 48, 1])
def test_it_equals_the_plain_form(monkeypatch, pairs_at_once, random_maps):
    monkeypatch.setattr(dense_hinge, "PAIRS_AT_ONCE", pairs_at_once)
    maps = [m.requires_grad_() for m in random_maps()]
    homographies, masks = random_homographies(2, 6, 8), random_masks()
    loss, similarity = dense_hinge_loss(*maps, homographies, *masks)
    plain, positive, negative = plain_dense_hinge(*maps, homographies, *masks)
    assert loss.item() == pytest.approx(plain.item(), rel=1e-5)
    for got, wanted in zip(torch.autograd.grad(loss, maps), torch.autograd.grad(plain, maps), strict=True):
        assert wanted.abs().max() > 1e-2
        torch.testing.assert_close(got, wanted, rtol=1e-5, atol=1e-6)
    assert similarity.positive.item() == pytest.approx(positive.item(), abs=1e-6)
    assert similarity.negative.item() == pytest.approx(negative.item(), abs=1e-6)


def test_its_gradient_in_double_precision(random_maps):
    maps = [m.requires_grad_() for m in random_maps(1, 3, 2, 3, torch.float64)]
    homographies, masks = random_homographies(1, 2, 3), random_masks(1, 2, 3)
    assert torch.autograd.gradcheck(lambda a, b: dense_hinge_loss(a, b, homographies, *masks)[0], maps)


def test_an_invalid_cell_is_in_no_pair(one_hot):
    # Without the cell in the corner of view 0, 5 * 6 pairs are left, 17 of them positive, 12 of those of neighbours.
    cells0, cells1 = one_hot(2, 3), one_hot(2, 3)
    cells0[..., 0, 0] = torch.nan
    cells0.requires_grad_()
    mask = torch.ones(1, 2, 3, dtype=torch.bool)
    mask[0, 0, 0] = False
    loss, similarity = dense_hinge_loss(cells0, cells1, IDENTITY, cell_mask0=mask)
    assert loss.item() == pytest.approx(250 * 12 / 30)
    assert similarity.positives.item() == 17
    assert similarity.positive.item() == pytest.approx(5 / 17)
    (gradient,) = torch.autograd.grad(loss, cells0)
    assert gradient.isfinite().all()
    assert gradient[..., 0, 0].abs().max() == 0
    swapped, _ = dense_hinge_loss(cells1, cells0, IDENTITY, cell_mask1=mask)
    assert swapped.item() == pytest.approx(loss.item())


def test_a_batch_is_counted_once(random_maps):
    maps, homographies, masks = random_maps(), random_homographies(2, 6, 8), random_masks()
    once, _ = dense_hinge_loss(*maps, homographies, *masks)
    twice, _ = dense_hinge_loss(
        *(torch.cat((m, m)) for m in maps), torch.cat((homographies,) * 2), *(torch.cat((m, m)) for m in masks)
    )
    assert twice.item() == pytest.approx(once.item(), rel=1e-6)


def test_views_of_different_sizes():
    # The 6 cells of view 0 fall on the left part of view 1.
    loss, similarity = dense_hinge_loss(torch.ones(1, 1, 2, 3), torch.ones(1, 1, 4, 5), IDENTITY, radius=1.0)
    assert similarity.positives.item() == 6
    assert loss.item() == pytest.approx((6 * 20 - 6) * 0.8 / 120)


def test_it_never_holds_all_pairs(random_maps):
    # All pairs of the batch would take 8 * 1200² * 4 bytes = 46 MB, the similarities held at a time take 4.2 MB.
    maps = [m.requires_grad_() for m in random_maps(8, 8, 30, 40)]
    homographies = random_homographies(8, 30, 40)
    kept = []
    with (
        LargestTensor() as largest,
        torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.untyped_storage().nbytes()) or t, lambda t: t),
    ):
        loss, _ = dense_hinge_loss(*maps, homographies)
        loss.backward()
    assert largest.bytes <= max(4 * dense_hinge.PAIRS_AT_ONCE, 8 * 8 * 1200 * 16 * 4)
    # What waits for the backward pass is of the size of the descriptors, 0.3 MB each.
    assert sum(kept) < 8 * maps[0].numel() * 4
