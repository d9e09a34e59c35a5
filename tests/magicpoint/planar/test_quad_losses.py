"""The losses of the detector of quadrilaterals."""

import math

import numpy as np
import pytest
import torch

from magicpoint.planar.assignment import FreeAnchor, IouRule
from magicpoint.planar.frames import UNIT_SQUARE
from magicpoint.planar.losses import match_proposals, quad_losses, second_losses
from magicpoint.planar.model import Proposals, QuadNetwork
from magicpoint.planar.settings import QuadModelSettings

SQUARE = torch.tensor(UNIT_SQUARE)
TINY = QuadModelSettings(width=0.125, anchor_sides=(16.0, 32.0), anchor_aspects=(1.0,), proposals=4, pooled_side=3)


@pytest.fixture
def network():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return QuadNetwork(TINY)


def generator():
    return torch.Generator().manual_seed(0)


def test_a_proposal_is_the_object_with_which_it_shares_most():
    objects = [torch.stack([SQUARE * 20, SQUARE * 20 + 15]), torch.zeros(0, 4, 2), SQUARE[None] * 20]
    corners = torch.stack([SQUARE * 20 + 2, SQUARE * 20 + 14, SQUARE * 20 + 50, SQUARE * 20, SQUARE * 20])
    proposals = Proposals(torch.tensor([0, 0, 0, 1, 2]), corners, torch.ones(5))
    matched = match_proposals(proposals, objects)
    assert matched.is_object.tolist() == [True, True, False, False, True]
    torch.testing.assert_close(matched.corners, torch.stack([*objects[0], corners[2], corners[3], SQUARE * 20]))
    assert matched.turns.tolist() == [0] * 5


@pytest.mark.parametrize("turn", range(4))
def test_a_proposal_has_its_own_order_and_is_told_the_first_corner(turn):
    proposals = Proposals(torch.zeros(1, dtype=torch.int64), (SQUARE * 20 + 1).roll(turn, dims=0)[None], torch.ones(1))
    matched = match_proposals(proposals, [SQUARE[None] * 20])
    torch.testing.assert_close(matched.corners[0], (SQUARE * 20).roll(turn, dims=0))
    assert matched.turns.tolist() == [turn]
    torch.testing.assert_close(matched.corners[0, turn], torch.zeros(2))


def test_the_second_losses_are_those_on_paper(network):
    """Logits of 0. One proposal is its object, but all nine cells of a map are as likely; one is none."""
    with torch.no_grad():
        for layer in (network.look.decision, network.look.maps[2], network.look.turns):
            layer.weight.zero_()
            layer.bias.zero_()
    first = network(torch.rand(1, 1, 64, 64, generator=generator()))
    corners = torch.stack([SQUARE * 20 + torch.tensor([2.0, 0]), SQUARE * 20 + 40])
    proposals = Proposals(torch.zeros(2, dtype=torch.int64), corners, torch.ones(2))
    decision, corner, turn = second_losses(network, first, proposals, [SQUARE[None] * 20])
    assert decision.item() == pytest.approx(math.log(2))
    assert corner.item() == pytest.approx(math.log(9), rel=1e-4)
    assert turn.item() == pytest.approx(math.log(4))


@pytest.mark.parametrize("assignment", [IouRule(), FreeAnchor(bag_size=8)])
@pytest.mark.parametrize("objects", [0, 2])
def test_every_part_is_finite_and_reaches_the_network(network, assignment, objects):
    quads = torch.stack([SQUARE * 20 + 5, SQUARE * 30 + 30])[:objects]
    first = network(torch.rand(2, 1, 64, 64, generator=generator()))
    losses = quad_losses(network, first, [quads, quads[:0]], assignment, [generator()] * 2)
    sum(losses).backward()
    for name, parameter in network.named_parameters():
        # Without an object nothing says where one is, nor what is up on it.
        places = ("codes", "look.maps", "look.turns")
        assert parameter.grad is not None or (objects == 0 and name.startswith(places)), name
        assert parameter.grad is None or parameter.grad.isfinite().all(), name
    assert all(loss.isfinite() for loss in losses)
    assert (losses.positive > 0) == (objects > 0)


def test_one_stage_has_no_second_losses():
    network = QuadNetwork(QuadModelSettings(0.125, stages=1))
    first = network(torch.rand(1, 1, 64, 64))
    losses = quad_losses(network, first, [SQUARE[None] * 20], FreeAnchor(), [generator()])
    assert losses.decision == 0
    assert losses.corner == 0
    assert losses.turn == 0


def test_the_generator_decides_how_objects_are_moved(network):
    network.eval()
    first = network(torch.rand(1, 1, 64, 64, generator=generator()))
    one, other = (quad_losses(network, first, [SQUARE[None] * 20], IouRule(), [generator()]) for _ in range(2))
    assert [loss.item() for loss in one] == [loss.item() for loss in other]
    third = quad_losses(network, first, [SQUARE[None] * 20], IouRule(), [torch.Generator().manual_seed(9)])
    assert third.corner != one.corner


def test_a_few_steps_make_every_part_smaller(network):
    rng = np.random.default_rng(0)
    image = torch.from_numpy(rng.random((1, 1, 64, 64)).astype(np.float32)) * 0.2
    image[:, :, 10:42, 16:48] += 0.7
    quads = [SQUARE[None] * 32 + torch.tensor([15.5, 9.5])]
    optimizer = torch.optim.Adam(network.parameters(), 2e-3)
    history = []
    for _ in range(40):
        losses = quad_losses(network, network(image), quads, FreeAnchor(bag_size=6), [generator()])
        optimizer.zero_grad()
        sum(losses).backward()
        optimizer.step()
        history.append([loss.item() for loss in losses])
    start, end = np.mean(history[:3], axis=0), np.mean(history[-3:], axis=0)
    assert (end[[0, 2, 3]] < 0.6 * start[[0, 2, 3]]).all()
