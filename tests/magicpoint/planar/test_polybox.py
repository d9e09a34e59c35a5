"""Polyboxes and their codes."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from magicpoint.planar.polybox import box_iou, decode, encode, from_corners, to_boxes, to_corners

SQUARE = torch.tensor([[10.0, 20.0], [30.0, 20.0], [30.0, 40.0], [10.0, 40.0]])
NUMBERS = st.floats(-2000, 2000, width=32)
SIDES = st.floats(1, 2000, width=32)


def test_a_square_is_its_middle_and_four_corners():
    expected = [20, 30, -10, -10, 10, -10, 10, 10, -10, 10]
    assert from_corners(SQUARE).tolist() == expected
    assert to_corners(from_corners(SQUARE)).tolist() == SQUARE.tolist()
    assert to_boxes(from_corners(SQUARE)).tolist() == [10, 20, 30, 40]


def test_the_order_of_the_corners_is_kept():
    turned = SQUARE.roll(1, 0)
    assert to_corners(from_corners(turned)).tolist() == turned.tolist()
    assert to_boxes(from_corners(turned)).tolist() == [10, 20, 30, 40]


def test_the_code_of_an_object_that_fills_its_anchor():
    """Its corners are one half anchor away: log 2 on each axis, with the sign of the side."""
    code = encode(from_corners(SQUARE), torch.tensor([20.0, 30.0, 20.0, 20.0]))
    log2 = math.log(2)
    torch.testing.assert_close(code, torch.tensor([0, 0, -log2, -log2, log2, -log2, log2, log2, -log2, log2]))


def test_the_centre_is_told_in_sides_of_the_anchor():
    code = encode(from_corners(SQUARE), torch.tensor([10.0, 25.0, 40.0, 10.0]))
    assert code[:2].tolist() == [0.25, 0.5]


@given(st.lists(NUMBERS, min_size=8, max_size=8), st.tuples(NUMBERS, NUMBERS, SIDES, SIDES))
def test_decoding_gives_the_polybox_back(corners, anchor):
    polybox = from_corners(torch.tensor(corners, dtype=torch.float64).view(4, 2))
    anchors = torch.tensor(anchor, dtype=torch.float64)
    code = encode(polybox, anchors)
    assert code.isfinite().all()
    if code[2:].abs().max() < 8:
        torch.testing.assert_close(decode(code, anchors), polybox, rtol=1e-9, atol=1e-6)


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=10, max_size=10))
def test_any_code_decodes_to_finite_numbers_with_finite_gradients(code):
    codes = torch.tensor(code, requires_grad=True)
    polybox = decode(codes, torch.tensor([5.0, 6.0, 32.0, 64.0]))
    polybox.sum().backward()
    assert polybox.isfinite().all()
    assert codes.grad.isfinite().all()


def test_gradients_are_those_of_small_changes():
    torch.manual_seed(0)
    anchors = torch.tensor([[5.0, 6.0, 32.0, 64.0]], dtype=torch.float64)
    codes = torch.randn(3, 10, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda c: decode(c, anchors), codes)
    polyboxes = decode(codes.detach(), anchors).requires_grad_()
    assert torch.autograd.gradcheck(lambda p: encode(p, anchors), polyboxes)


def test_overlaps_known_on_paper():
    boxes = torch.tensor([[0.0, 0, 2, 2], [1, 0, 3, 2], [2, 0, 4, 2], [0, 0, 4, 4], [1, 1, 1, 5]])
    iou = box_iou(boxes, boxes)
    torch.testing.assert_close(iou[0], torch.tensor([1, 1 / 3, 0, 1 / 4, 0]))
    assert iou[4].tolist() == [0] * 5
    assert box_iou(boxes[:0], boxes).shape == (0, 5)


@pytest.mark.parametrize("shape", [(), (3,), (2, 5)])
def test_any_leading_dimensions_do(shape):
    polyboxes = torch.rand(*shape, 10)
    anchors = torch.rand(*shape, 4) + 1
    torch.testing.assert_close(decode(encode(polyboxes, anchors), anchors), polyboxes)
