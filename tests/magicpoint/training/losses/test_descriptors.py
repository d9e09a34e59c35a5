"""The losses of correspondences, on cases that can be checked on paper, and what all descriptor losses share."""

import math
from functools import partial

import pytest
import torch

from magicpoint.core.grid import cell_centres
from magicpoint.decoding.descriptors import sample_descriptors
from magicpoint.training.losses.descriptors import Similarity, dense_hinge_loss, dual_softmax_loss, sparse_loss

IDENTITY = torch.eye(3, dtype=torch.float64)[None]


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
def test_the_gradient_reaches_the_cells_beside_the_points_only(loss_of, random_maps):
    maps = [m.requires_grad_() for m in random_maps(1, 4, 3, 6)]
    # x = 5.5 lies between the columns 0 and 1, x = 35.5 on the centre of column 4; y = 11.5 on that of row 1.
    points = [torch.tensor([[5.5, 11.5], [35.5, 11.5]])]
    loss, _ = loss_of(*maps, points, points)
    for gradient in torch.autograd.grad(loss, maps):
        touched = gradient[0].abs().sum(0) > 1e-5
        assert touched.nonzero().tolist() == [[1, 0], [1, 1], [1, 4]]


@pytest.mark.parametrize("loss_of", [partial(sparse_loss, margin=5.0), dual_softmax_loss])
def test_the_gradient_is_the_difference_quotient(loss_of, random_maps):
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


def test_nothing_to_compare_gives_zero_loss_and_zero_gradient(random_maps):
    maps = [m.requires_grad_() for m in random_maps(1)]
    for loss, similarity in every_loss(maps, [torch.zeros(0, 2)], torch.zeros(1, 6, 8, dtype=torch.bool)):
        assert loss.item() == 0
        for gradient in torch.autograd.grad(loss, maps):
            assert gradient.abs().max() == 0
        assert (similarity.positive.item(), similarity.negative.item(), similarity.positives.item()) == (0, 0, 0)
        assert not similarity.collapsed()


def test_a_single_correspondence_is_ordinary(random_maps):
    maps = [m.requires_grad_() for m in random_maps(1)]
    for loss, _ in every_loss(maps, [torch.tensor([[20.0, 20.0]])], None):
        assert loss.isfinite()
        assert all(g.isfinite().all() for g in torch.autograd.grad(loss, maps))


def test_autocast_and_bfloat16_are_computed_in_float32(random_maps):
    rounded = [m.bfloat16() for m in random_maps(1)]
    points = [torch.tensor([[4.0, 9.0], [30.0, 20.0], [50.0, 40.0]])]
    wanted = [loss for loss, _ in every_loss([m.float() for m in rounded], points, None)]
    with torch.autocast("cpu", torch.bfloat16):
        got = [loss for loss, _ in every_loss(rounded, points, None)]
    for a, b in zip(got, wanted, strict=True):
        assert a.dtype == torch.float32
        assert a.item() == pytest.approx(b.item(), rel=1e-6)


def test_a_collapse_is_seen(one_hot):
    equal = torch.ones(1, 1, 6, 8)
    points = [cell_centres(6, 8)]
    for _, similarity in every_loss([equal, equal], points, None):
        assert similarity.positive.item() == pytest.approx(similarity.negative.item())
        assert similarity.collapsed()
    different = one_hot(6, 8)
    for _, similarity in every_loss([different, different], points, None):
        assert not similarity.collapsed()
    assert Similarity(torch.tensor(torch.nan), torch.tensor(0.0), torch.tensor(3)).collapsed()


def test_wrong_arguments_are_named(random_maps):
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
