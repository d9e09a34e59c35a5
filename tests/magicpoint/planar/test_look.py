"""Where maps say that corners lie, and what is minimised so that they do."""

import math

import pytest
import torch

from magicpoint.planar.frames import CONTEXT
from magicpoint.planar.look import SecondLook, corner_loss, corners_of


def place(column, row, side):
    """The centre of a cell of a map, in the frame."""
    return [((each + 0.5) / side - 0.5) * CONTEXT + 0.5 for each in (column, row)]


def test_a_map_says_the_mean_around_its_highest_cell():
    """Two cells side by side, three to one: a quarter of the way. A lower peak beyond does not count."""
    maps = torch.full((1, 4, 12, 12), -1e9)
    maps[0, :, 3, 4], maps[0, :, 3, 5] = math.log(3), 0.0
    maps[0, :, 10, 10] = math.log(2.9)
    torch.testing.assert_close(corners_of(maps)[0], torch.tensor([place(4.25, 3, 12)]).expand(4, -1))


def test_the_loss_of_a_corner_is_shared_by_the_cells_around_it():
    """All corners three tenths to the right of a cell's centre: 0.7 of the loss is that cell's, 0.3 its neighbour's."""
    maps = torch.zeros(1, 4, 6, 6)
    maps[0, :, 2, 3] = 5.0
    sum_of_all = math.log(math.exp(5.0) + 35)
    corners = torch.tensor([place(3.3, 2, 6)]).expand(1, 4, 2)
    loss, inside = corner_loss(maps, corners)
    torch.testing.assert_close(loss, torch.full((1, 4), sum_of_all - 0.7 * 5.0))
    assert inside.all()


def test_the_lowest_loss_says_the_corner_to_a_fraction_of_a_cell():
    maps = torch.zeros(1, 4, 8, 8, requires_grad=True)
    corners = torch.tensor([[place(2.0, 3.0, 8), place(5.4, 1.2, 8), place(6.5, 6.5, 8), place(0.1, 7.0, 8)]])
    optimizer = torch.optim.Adam([maps], 0.3)
    for _ in range(300):
        optimizer.zero_grad()
        corner_loss(maps, corners)[0].sum().backward()
        optimizer.step()
    torch.testing.assert_close(corners_of(maps.detach()), corners, atol=0.01, rtol=0)


@pytest.mark.parametrize(("column", "inside"), [(-0.4, True), (-0.6, False), (7.4, True), (7.6, False), (1e9, False)])
def test_what_lies_beyond_what_was_pooled_is_said_to(column, inside):
    loss, found = corner_loss(torch.zeros(1, 4, 8, 8), torch.tensor([[place(column, 3, 8)] * 4]))
    assert found.tolist() == [[inside] * 4]
    assert loss.isfinite().all()


@pytest.mark.parametrize("side", [1, 3, 24])
def test_any_side_has_maps_and_a_verdict(side):
    look = SecondLook(8, 16, side).eval()
    seen = look.trunk(torch.zeros(2, 24, side, side))
    assert look.corner_maps(seen).shape == (2, 4, side, side)
    assert corner_loss(look.corner_maps(seen), torch.full((2, 4, 2), 0.5))[0].isfinite().all()
    verdict = look.judge(seen)
    assert verdict.logits.shape == (2,)
    assert verdict.turns.shape == (2, 4)
