"""Both ways to assign anchors, by numbers worked out on paper."""

import math

import pytest
import torch

from magicpoint.planar.assignment import (
    FreeAnchor,
    IouRule,
    bag_anchors,
    focal,
    mean_max,
    place_errors,
    saturated_linear,
)
from magicpoint.planar.polybox import encode, from_corners


def box(left, top, right, bottom):
    return from_corners(torch.tensor([[left, top], [right, top], [right, bottom], [left, bottom]], dtype=torch.float32))


ANCHORS = torch.tensor([[5.0, 5, 10, 10], [10, 5, 10, 10], [25, 5, 10, 10], [100, 100, 10, 10]])
OBJECT = box(0, 0, 10, 10)[None]
"""IoU with the anchors: 1, 1/3, 0, 0."""


def test_the_rule_gives_each_anchor_its_part():
    assert IouRule(0.7, 0.3).assign(ANCHORS, OBJECT).tolist() == [0, -2, -1, -1]
    assert IouRule(0.3, 0.1).assign(ANCHORS, OBJECT).tolist() == [0, 0, -1, -1]


def test_an_object_without_a_good_anchor_gets_its_best_one():
    far = box(8, 0, 18, 10)[None]  # 1/9 with the first anchor, 2/3 with the second, 0 with the others
    assert IouRule(0.7, 0.3).assign(ANCHORS, far).tolist() == [-1, 0, -1, -1]
    nowhere = box(200, 200, 210, 210)[None]
    assert IouRule().assign(ANCHORS, nowhere).tolist() == [-1] * 4


def test_of_two_objects_the_better_one_is_learnt():
    objects = torch.cat((OBJECT, box(5, 0, 15, 10)[None]))
    assert IouRule(0.7, 0.3).assign(ANCHORS, objects).tolist() == [0, 1, -1, -1]


def test_without_objects_all_anchors_learn_that_there_is_nothing():
    none = torch.zeros(0, 10)
    assert IouRule().assign(ANCHORS, none).tolist() == [-1] * 4
    logits = torch.zeros(4, requires_grad=True)
    parts = IouRule().loss(logits, torch.zeros(4, 10), ANCHORS, none)
    assert parts.positive == 0
    assert parts.negative.item() == pytest.approx(math.log(2))
    parts.negative.backward()
    assert (logits.grad > 0).all()


def test_the_rules_loss_is_the_one_on_paper():
    """Codes that are right cost nothing; logits of 0 cost log 2 an anchor that learns."""
    codes = encode(OBJECT.expand(4, -1), ANCHORS)
    parts = IouRule(0.7, 0.3).loss(torch.zeros(4), codes, ANCHORS, OBJECT)
    assert float(parts.positive) == pytest.approx(math.log(2))
    assert float(parts.negative) == pytest.approx(math.log(2))
    wrong = codes.clone()
    wrong[0, 0] += 0.3  # one unit, beyond beta, so 1 - beta / 2: a tenth of the mean, four times as for a box
    more = IouRule(0.7, 0.3).loss(torch.zeros(4), wrong, ANCHORS, OBJECT).positive - parts.positive
    assert float(more) == pytest.approx(4 * (1 - 1 / 18) / 10, rel=1e-5)


def test_the_hardest_alarms_count():
    logits = torch.tensor([0.0, 0.0, 3.0, -5.0])
    parts = IouRule(0.7, 0.3, hardest=1).loss(logits, encode(OBJECT.expand(4, -1), ANCHORS), ANCHORS, OBJECT)
    assert float(parts.negative) == pytest.approx(math.log(1 + math.exp(3)))


def test_mean_max_is_near_the_mean_of_small_values():
    assert float(mean_max(torch.tensor([0.01, 0.02, 0.03]))) == pytest.approx(0.02, abs=1e-4)
    # (0.5 / 0.5 + 0) / (1 / 0.5 + 1) = 1 / 3
    assert float(mean_max(torch.tensor([0.5, 0.0]))) == pytest.approx(1 / 3)


def test_mean_max_is_near_one_if_one_value_is():
    assert float(mean_max(torch.tensor([0.999, 0.01, 0.01, 0.01]))) == pytest.approx(0.999, abs=0.01)
    assert float(mean_max(torch.tensor([1.0, 0.0]))) == pytest.approx(1.0)


def test_the_saturated_linear_function_has_its_three_properties():
    overlaps = torch.tensor([[0.1, 0.65], [0.6, 0.7], [0.7, 0.3], [0.8, 0.9]])
    found = saturated_linear(overlaps, 0.6)
    assert (found[overlaps <= 0.6] == 0).all()
    torch.testing.assert_close(found[3], torch.ones(2))
    torch.testing.assert_close(found[:, 0], torch.tensor([0.0, 0.0, 0.5, 1.0]))
    assert (found[:, 1].sort().values == found[overlaps[:, 1].argsort(), 1]).all()


def test_an_object_that_no_box_reaches_makes_no_box_an_object():
    assert saturated_linear(torch.tensor([[0.5], [0.2]]), 0.6).tolist() == [[0], [0]]


def test_the_bag_holds_the_anchors_that_overlap_most():
    assert bag_anchors(ANCHORS, OBJECT, 2).tolist() == [[0, 1]]
    assert bag_anchors(ANCHORS, OBJECT, 9).shape == (1, 4)


def test_a_false_alarm_costs_what_the_focal_loss_says():
    assert float(focal(torch.tensor(0.5), 2.0)) == pytest.approx(0.25 * math.log(2))
    assert float(focal(torch.tensor(0.0), 2.0)) == 0
    assert focal(torch.tensor(1.0), 2.0).isfinite()


def test_the_free_loss_is_the_one_on_paper():
    """One anchor in the bag, right codes, p = 1/2: the object costs -log(1/2); it is the object, so no background."""
    codes = encode(OBJECT, ANCHORS[:1])
    parts = FreeAnchor(bag_size=1).loss(torch.zeros(1), codes, ANCHORS[:1], OBJECT)
    assert float(parts.positive) == pytest.approx(0.5 * math.log(2))
    assert float(parts.negative) == 0
    # A second anchor that decodes elsewhere is background with p = 1/2; the bag's size is the divisor.
    codes = torch.cat((codes, torch.zeros(1, 10)))
    parts = FreeAnchor(bag_size=1).loss(torch.zeros(2), codes, ANCHORS[[0, 3]], OBJECT)
    assert float(parts.negative) == pytest.approx(0.5 * 0.25 * math.log(2))


@pytest.mark.parametrize("turn", range(4))
def test_the_order_in_which_corners_are_said_costs_nothing(turn):
    corners = torch.tensor([[1.0, 0], [9, 2], [8, 9], [0, 7]])
    codes = encode(from_corners(corners.roll(turn, dims=0)), ANCHORS[:1])
    assert place_errors(codes, from_corners(corners)[None], ANCHORS[:1], 0.1).item() == pytest.approx(0, abs=1e-9)
    mirrored = encode(from_corners(corners.flip(0)), ANCHORS[:1])
    assert place_errors(mirrored, from_corners(corners)[None], ANCHORS[:1], 0.1).item() > 0.1


def test_without_objects_every_alarm_is_false():
    parts = FreeAnchor().loss(torch.zeros(4), torch.zeros(4, 10), ANCHORS, torch.zeros(0, 10))
    assert float(parts.positive) == 0
    assert float(parts.negative) == pytest.approx(0.5 * 4 * 0.25 * math.log(2) / FreeAnchor().bag_size)


def test_the_loss_falls_when_the_right_anchor_improves():
    logits = torch.full((4,), -3.0)
    codes = torch.zeros(4, 10)
    right = encode(OBJECT, ANCHORS[:1])[0]
    losses = []
    for share in (0.0, 0.3, 0.6, 0.9, 1.0):
        better, surer = codes.clone(), logits.clone()
        better[0] = share * right
        surer[0] += 6 * share
        losses.append(float(sum(FreeAnchor(bag_size=3).loss(surer, better, ANCHORS, OBJECT))))
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.5 * losses[0]


def test_no_gradient_flows_through_the_assignment():
    """An anchor outside the bag moves the background's part by its probability alone, never by where it points."""
    codes = torch.randn(4, 10, generator=torch.Generator().manual_seed(0)).requires_grad_()
    logits = torch.zeros(4, requires_grad=True)
    sum(FreeAnchor(bag_size=1).loss(logits, codes, ANCHORS, OBJECT)).backward()
    assert (codes.grad[1:] == 0).all()
    assert (codes.grad[0] != 0).any()
    assert (logits.grad[1:] > 0).all()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: IouRule(0.3, 0.7),
        lambda: IouRule(beta=0),
        lambda: FreeAnchor(bag_size=0),
        lambda: FreeAnchor(threshold=1),
        lambda: FreeAnchor(alpha=0),
        lambda: FreeAnchor(gamma=-1),
    ],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=r"need|must"):
        wrong()
