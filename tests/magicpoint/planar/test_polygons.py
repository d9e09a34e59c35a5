"""Overlaps of quadrilaterals that are known on paper, and the suppression by them."""

import math

import numpy as np
import pytest

from magicpoint.planar.polygons import polygon_iou, share_inside, suppress_quads

pytest.importorskip("shapely")
SQUARE = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])


def moved(x, y):
    return SQUARE + np.array([x, y])


def turned(quad, degrees):
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return (quad - 0.5) @ np.array([[c, s], [-s, c]]) + 0.5


def iou(quad0, quad1):
    return polygon_iou(quad0[None], quad1[None])[0, 0]


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (SQUARE, 1.0),
        (SQUARE[::-1], 1.0),
        (np.roll(SQUARE, 2, axis=0), 1.0),
        (moved(0.5, 0), 1 / 3),
        (moved(1, 0), 0.0),
        (moved(5, 5), 0.0),
        (SQUARE / 2, 1 / 4),
        (SQUARE / 2 + 0.25, 1 / 4),
        (turned(SQUARE, 90), 1.0),
        # The octagon of two squares turned by 45 degrees has the area 2 (sqrt 2 - 1).
        (turned(SQUARE, 45), 2 * (math.sqrt(2) - 1) / (2 - 2 * (math.sqrt(2) - 1))),
        (SQUARE * np.array([1, 0]), 0.0),
    ],
)
def test_the_unit_square_and_another(other, expected):
    assert iou(SQUARE, other) == pytest.approx(expected, abs=1e-12)
    assert iou(other, SQUARE) == pytest.approx(expected, abs=1e-12)


def test_corners_that_cross_count_as_their_hull():
    assert iou(SQUARE[[0, 2, 1, 3]], SQUARE) == pytest.approx(1)


def test_each_is_compared_with_each():
    found = polygon_iou(np.stack([SQUARE, SQUARE + 3]), np.stack([SQUARE + 3, SQUARE, moved(0.5, 0)]))
    np.testing.assert_allclose(found, [[0, 1, 1 / 3], [1, 0, 0]])


def test_none_is_ordinary():
    none = np.zeros((0, 4, 2))
    assert polygon_iou(none, SQUARE[None]).shape == (0, 1)
    assert polygon_iou(SQUARE[None], none).shape == (1, 0)
    assert suppress_quads(none, [], 0.5).tolist() == []


@pytest.mark.parametrize(("quads", "message"), [(np.zeros((2, 3, 2)), "shape"), (np.full((1, 4, 2), np.nan), "finite")])
def test_what_is_no_quadrilateral_is_refused(quads, message):
    with pytest.raises(ValueError, match=message):
        polygon_iou(quads, SQUARE[None])


def test_the_best_of_those_that_overlap_is_kept():
    """0 and 1 overlap by a third, 1 and 2 too, 0 and 2 touch: with 1 gone, 2 stays."""
    quads = np.stack([SQUARE, moved(0.5, 0), moved(1, 0), moved(9, 9)])
    assert suppress_quads(quads, [0.9, 0.8, 0.7, 0.95], 0.3).tolist() == [3, 0, 2]
    assert suppress_quads(quads, [0.7, 0.9, 0.8, 0.1], 0.3).tolist() == [1, 3]
    assert suppress_quads(quads, [0.9, 0.8, 0.7, 0.95], 0.4).tolist() == [3, 0, 1, 2]


def test_among_equals_the_first_is_kept():
    assert suppress_quads(np.stack([SQUARE] * 3), [0.5, 0.5, 0.5], 0.5).tolist() == [0]


def test_the_share_of_one_that_lies_in_another_is_of_its_own_area():
    quads = np.stack([SQUARE, moved(0.5, 0), 2 * SQUARE, np.zeros((4, 2))])
    expected = [[1, 0.5, 1, 0], [0.5, 1, 1, 0], [0.25, 0.25, 1, 0], [0, 0, 0, 0]]
    np.testing.assert_allclose(share_inside(quads, quads), expected)
    assert share_inside(quads[:0], quads).shape == (0, 4)
