"""Descriptor losses, on cases that can be checked on paper and against their plain form."""

import math
from functools import partial

import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from homography import HomographySettings, sample_homography, warp_points
from magicpoint import dense_hinge
from magicpoint.correspondences import cell_centres, draw_points, find_correspondences
from magicpoint.decode import sample_descriptors
from magicpoint.descriptor_losses import Similarity, dense_hinge_loss, dual_softmax_loss, sparse_loss
from magicpoint.labels import mask_to_cells
from magicpoint.model import ModelSettings, PointNetwork
from magicpoint.pairs import PairBatches, PairSettings, to_pair_batch

IDENTITY = torch.eye(3, dtype=torch.float64)[None]


def shift(x, y):
    return torch.tensor([[[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]]], dtype=torch.float64)


def one_hot(rows, columns):
    """A descriptor of its own for every cell, orthogonal to all others: (1, rows * columns, rows, columns)."""
    return torch.eye(rows * columns).view(1, rows * columns, rows, columns)


def random_maps(batch=2, dim=16, rows=6, columns=8, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, dim, rows, columns)
    return [F.normalize(torch.randn(shape, dtype=dtype, generator=generator), dim=1) for _ in range(2)]


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


# --- the dense hinge


def test_under_the_identity_the_positives_are_a_cell_and_its_neighbours_at_8_pixels():
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


def test_a_shift_by_one_cell_matches_each_cell_with_the_next():
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
def test_it_equals_the_plain_form(monkeypatch, pairs_at_once):
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


def test_its_gradient_in_double_precision():
    maps = [m.requires_grad_() for m in random_maps(1, 3, 2, 3, torch.float64)]
    homographies, masks = random_homographies(1, 2, 3), random_masks(1, 2, 3)
    assert torch.autograd.gradcheck(lambda a, b: dense_hinge_loss(a, b, homographies, *masks)[0], maps)


def test_an_invalid_cell_is_in_no_pair():
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


def test_a_batch_is_counted_once():
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


def test_it_never_holds_all_pairs():
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


# --- the losses of correspondences


def in_a_row(similar, columns=6):
    """Maps (1, D, 1, columns) with the given descriptors, {column: [...]}, at the cells' centres."""
    dim = len(next(iter(similar.values())))
    cells = torch.zeros(1, dim, 1, columns)
    cells[:, -1] = 1.0
    for column, descriptor in similar.items():
        cells[0, :, 0, column] = torch.tensor(descriptor)
    return cells


@pytest.fixture
def three():
    """Three points, in the cells 0, 1 and 5, whose similarities are [[1, 1, 0], [0, 0, 0], [0, 0, 1]]."""
    cells0 = in_a_row({0: [1.0, 0, 0, 0], 1: [0, 1.0, 0, 0], 5: [0, 0, 1.0, 0]})
    cells1 = in_a_row({0: [1.0, 0, 0, 0], 1: [1.0, 0, 0, 0], 5: [0, 0, 1.0, 0]})
    points = torch.tensor([[3.5, 3.5], [11.5, 3.5], [43.5, 3.5]])
    return cells0, cells1, [points], [points]


def test_sparse_loss_on_paper(three):
    # 1 + 2 (negative - positive), the hardest of row and column: point 0: 1 + 2 (1 - 1) and 1 + 2 (0 - 1) < 0,
    # point 1: 1 + 2 (0 - 0) and 1 + 2 (1 - 0), point 2: nothing.
    loss, similarity = sparse_loss(*three, hard_negatives=1)
    assert loss.item() == pytest.approx(((1 + 0) / 2 + (1 + 3) / 2 + 0) / 3)
    assert similarity.positives.item() == 3
    assert similarity.positive.item() == pytest.approx(2 / 3)
    assert similarity.negative.item() == pytest.approx(1 / 6)
    # With both negatives of each row and column.
    loss, _ = sparse_loss(*three)
    assert loss.item() == pytest.approx(((1 + 0 + 0 + 0) / 4 + (1 + 1 + 3 + 1) / 4 + 0) / 3)


def test_points_within_the_safe_radius_are_no_negatives(three):
    # Points 0 and 1 are 8 pixels apart. Then the hardest negatives are all 0.
    loss, similarity = sparse_loss(*three, hard_negatives=1, safe_radius=8.5)
    assert loss.item() == pytest.approx((0 + 1 + 0) / 3)
    assert similarity.negative.item() == 0
    loss, _ = dual_softmax_loss(*three, temperature=1.0, safe_radius=8.5)
    sure = -math.log(math.e / (math.e + 1))
    assert loss.item() == pytest.approx((2 * sure + 2 * math.log(2) + 2 * -math.log(math.e / (math.e + 2))) / 3)
    # Near in one view is near: three points that come together in the other have no negatives.
    far, near = three[2], [three[2][0] / 100]
    for points in ((far, near), (near, far)):
        for loss_of in (sparse_loss, dual_softmax_loss):
            loss, similarity = loss_of(*three[:2], *points)
            assert loss.item() == pytest.approx(0, abs=1e-6)
            assert similarity.negative.item() == 0


def test_dual_softmax_on_paper(three):
    # Rows of S: e/(e+e+1), 1/3, e/(e+2); columns: e/(e+2), 1/(e+2), e/(e+2).
    e = math.e
    expected = -sum(math.log(p) for p in (e / (2 * e + 1), 1 / 3, e / (e + 2), e / (e + 2), 1 / (e + 2), e / (e + 2)))
    loss, _ = dual_softmax_loss(*three, temperature=1.0)
    assert loss.item() == pytest.approx(expected / 3)
    cells = torch.ones(1, 1, 1, 6)
    loss, _ = dual_softmax_loss(cells, cells, *three[2:])
    assert loss.item() == pytest.approx(2 * math.log(3))


def test_the_mean_is_over_all_correspondences_of_the_batch(three):
    cells0, cells1, points, _ = three
    one = [points[0][2:]]
    for loss_of in (sparse_loss, dual_softmax_loss):
        first, second = loss_of(*three)[0].item(), loss_of(cells0, cells1, one, one)[0].item()
        both, _ = loss_of(torch.cat((cells0,) * 2), torch.cat((cells1,) * 2), points + one, points + one)
        assert both.item() == pytest.approx((3 * first + 1 * second) / 4)


@pytest.mark.parametrize("loss_of", [partial(sparse_loss, margin=5.0), dual_softmax_loss])
def test_the_gradient_reaches_the_cells_beside_the_points_only(loss_of):
    maps = [m.requires_grad_() for m in random_maps(1, 4, 3, 6)]
    # x = 5.5 lies between the columns 0 and 1, x = 35.5 on the centre of column 4; y = 11.5 on that of row 1.
    points = [torch.tensor([[5.5, 11.5], [35.5, 11.5]])]
    loss, _ = loss_of(*maps, points, points)
    for gradient in torch.autograd.grad(loss, maps):
        touched = gradient[0].abs().sum(0) > 1e-5
        assert touched.nonzero().tolist() == [[1, 0], [1, 1], [1, 4]]


@pytest.mark.parametrize("loss_of", [partial(sparse_loss, margin=5.0), dual_softmax_loss])
def test_the_gradient_is_the_difference_quotient(loss_of):
    maps = random_maps(1, 3, 3, 4)
    generator = torch.Generator().manual_seed(3)
    points = [[torch.rand(5, 2, generator=generator) * torch.tensor([31.0, 23.0])] for _ in range(2)]
    direction = torch.randn(maps[0].shape, generator=generator)

    def value(step):
        return loss_of(maps[0] + step * direction, maps[1], *points)[0]

    step = torch.zeros((), requires_grad=True)
    (slope,) = torch.autograd.grad(value(step), step)
    assert slope.item() == pytest.approx((value(0.01) - value(-0.01)).item() / 0.02, rel=0.01)


def test_a_sampled_ramp_is_the_position_and_its_gradient_the_bilinear_weights():
    # The ratio of a ramp and a constant outlives the scaling to length 1.
    ramp = (torch.arange(4.0) * 8 + 3.5).expand(1, 1, 3, 4).clone().requires_grad_()
    [descriptor] = sample_descriptors(torch.cat((ramp, torch.ones(1, 1, 3, 4)), 1), [torch.tensor([[13.5, 9.5]])])
    position = descriptor[0, 0] / descriptor[0, 1]
    assert position.item() == pytest.approx(13.5, rel=1e-5)
    # In cells it is (1.25, 0.75): a quarter to the right of column 1, a quarter above row 1.
    (gradient,) = torch.autograd.grad(position, ramp)
    expected = torch.zeros(3, 4)
    expected[:2, 1:3] = torch.tensor([[0.25 * 0.75, 0.25 * 0.25], [0.75 * 0.75, 0.75 * 0.25]])
    torch.testing.assert_close(gradient[0, 0], expected, atol=1e-5, rtol=1e-4)


# --- what they share


def every_loss(maps, points, mask):
    yield dense_hinge_loss(*maps, IDENTITY, mask, mask)
    yield sparse_loss(*maps, points, points)
    yield dual_softmax_loss(*maps, points, points)


def test_nothing_to_compare_gives_zero_loss_and_zero_gradient():
    maps = [m.requires_grad_() for m in random_maps(1)]
    for loss, similarity in every_loss(maps, [torch.zeros(0, 2)], torch.zeros(1, 6, 8, dtype=torch.bool)):
        assert loss.item() == 0
        for gradient in torch.autograd.grad(loss, maps):
            assert gradient.abs().max() == 0
        assert (similarity.positive.item(), similarity.negative.item(), similarity.positives.item()) == (0, 0, 0)
        assert not similarity.collapsed()


def test_a_single_correspondence_is_ordinary():
    maps = [m.requires_grad_() for m in random_maps(1)]
    for loss, _ in every_loss(maps, [torch.tensor([[20.0, 20.0]])], None):
        assert loss.isfinite()
        assert all(g.isfinite().all() for g in torch.autograd.grad(loss, maps))


def test_autocast_and_bfloat16_are_computed_in_float32():
    rounded = [m.bfloat16() for m in random_maps(1)]
    points = [torch.tensor([[4.0, 9.0], [30.0, 20.0], [50.0, 40.0]])]
    wanted = [loss for loss, _ in every_loss([m.float() for m in rounded], points, None)]
    with torch.autocast("cpu", torch.bfloat16):
        got = [loss for loss, _ in every_loss(rounded, points, None)]
    for a, b in zip(got, wanted, strict=True):
        assert a.dtype == torch.float32
        assert a.item() == pytest.approx(b.item(), rel=1e-6)


def test_a_collapse_is_seen():
    equal = torch.ones(1, 1, 6, 8)
    points = [cell_centres(6, 8)]
    for _, similarity in every_loss([equal, equal], points, None):
        assert similarity.positive.item() == pytest.approx(similarity.negative.item())
        assert similarity.collapsed()
    different = one_hot(6, 8)
    for _, similarity in every_loss([different, different], points, None):
        assert not similarity.collapsed()
    assert Similarity(torch.tensor(torch.nan), torch.tensor(0.0), torch.tensor(3)).collapsed()


def test_wrong_arguments_are_named():
    maps, points = random_maps(1), [torch.zeros(2, 2)]
    with pytest.raises(ValueError, match=r"\(1, 6, 8\).*\(1, 6, 7\)"):
        dense_hinge_loss(*maps, IDENTITY, torch.ones(1, 6, 7, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"-0\.1"):
        dense_hinge_loss(*maps, IDENTITY, negative_margin=-0.1)
    with pytest.raises(ValueError, match=r"\(1, 5, 6, 8\)"):
        sparse_loss(maps[0], maps[1][:, :5].expand(1, 5, 6, 8), points, points)
    with pytest.raises(ValueError, match=r"\[2\], \[1\]"):
        sparse_loss(*maps, points, [torch.zeros(1, 2)])
    with pytest.raises(ValueError, match=r"hard_negatives.*0"):
        sparse_loss(*maps, points, points, hard_negatives=0)
    with pytest.raises(ValueError, match=r"temperature.*0\.0"):
        dual_softmax_loss(*maps, points, points, temperature=0.0)


# --- learning


class Textures:
    """Images of blurred noise, 72 x 96, with keypoints on a grid."""

    digest = "textures"

    def sample(self, index):
        noise = np.random.default_rng(index).random((72, 96), np.float32)
        texture = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2.0), None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
        grid = np.stack(np.meshgrid(np.arange(4.0, 96.0, 8.0), np.arange(4.0, 72.0, 8.0)), -1).reshape(-1, 2)
        certain = np.column_stack((grid, np.ones(len(grid)))).astype(np.float32)
        return texture, certain, np.ones((72, 96), np.bool_)


@pytest.fixture
def one_thread():
    """Layers this small gain nothing from a second thread, and wait for it where the cores are shared."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("one_thread")
def test_the_default_loss_overfits_eight_pairs():
    settings = PairSettings(size=(56, 72), homographic=HomographySettings(rotation=0.5))
    batch = to_pair_batch(PairBatches(Textures(), settings, seed=0, batch_size=8)[0], torch.device("cpu"))
    mask0, mask1 = mask_to_cells(batch.valid_mask0), mask_to_cells(batch.valid_mask1)
    known = find_correspondences(batch.keypoints0, batch.H_0to1, mask0, mask1)
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = PointNetwork(ModelSettings(width=0.125, descriptor_dim=64))
    optimizer = torch.optim.AdamW(network.parameters(), 1e-2)
    images = torch.cat((batch.image0, batch.image1))
    for _ in range(60):
        points = draw_points(batch.keypoints0, (56, 72), 128, generator)
        points0, points1 = zip(*find_correspondences(points, batch.H_0to1, mask0, mask1), strict=True)
        loss, similarity = dual_softmax_loss(*network(images).descriptors.chunk(2), points0, points1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert not similarity.collapsed()
    maps = network(images).descriptors.detach().chunk(2)
    right = total = 0
    for image, (points0, points1) in enumerate(known):
        [here] = sample_descriptors(maps[0][image : image + 1], [points0])
        [there] = sample_descriptors(maps[1][image : image + 1], [points1])
        scores = here @ there.T
        forth, back = scores.argmax(1), scores.argmax(0)
        here_again = torch.arange(len(points0))
        right += ((forth == here_again) & (back == here_again)).sum().item()
        total += len(points0)
    assert total > 200
    assert right / total > 0.95
