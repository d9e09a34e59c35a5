"""The matcher's loss on paper."""

import math

import pytest
import torch

from magicpoint.model.matcher import Assignment, log_scores
from magicpoint.training.losses.matching import confidence_loss, matching_loss

EVEN = Assignment(torch.zeros(1, 2, 2), torch.zeros(1, 2), torch.zeros(1, 2))


def test_without_a_preference():
    """The chance is a half each way, times a half for each matchability."""
    loss = matching_loss(EVEN, torch.tensor([[1, -1]]), torch.tensor([[-1, 0]]))
    assert loss.matched.item() == pytest.approx(math.log(16))
    assert loss.unmatched.item() == pytest.approx(math.log(2))


def test_it_is_the_score_of_the_true_matches():
    generator = torch.Generator().manual_seed(0)
    draw = (torch.randn(2, 4, 5, generator=generator), torch.randn(2, 4, generator=generator))
    assignment = Assignment(*draw, torch.randn(2, 5, generator=generator))
    targets0, targets1 = torch.full((2, 4), -1), torch.full((2, 5), -1)
    for image, row, column in ((0, 1, 3), (0, 2, 0), (1, 3, 3)):
        targets0[image, row], targets1[image, column] = column, row
    scores = log_scores(assignment)
    expected = -((scores[0, 1, 3] + scores[0, 2, 0]) / 2 + scores[1, 3, 3]) / 2
    torch.testing.assert_close(matching_loss(assignment, targets0, targets1).matched, expected)


def test_what_is_not_known_does_not_count():
    unknown = torch.full((1, 2), -2)
    loss = matching_loss(EVEN, unknown, unknown)
    assert (loss.matched.item(), loss.unmatched.item()) == (0.0, 0.0)


def test_a_layer_learns_where_it_agrees_with_the_last():
    logits = torch.tensor([[50.0, -50.0, 50.0]])
    best, final = torch.tensor([[0, 1, 2]]), torch.tensor([[0, -1, 1]])
    assert confidence_loss(logits, best, final, torch.tensor([[True, True, False]])).item() == pytest.approx(0.0)
    assert confidence_loss(logits, best, final, None).item() == pytest.approx(50.0 / 3)
