"""Equal scores and equal distances: the result is a function of the points, not of the order in which they come."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magicpoint.measures.detection import average_precision, match_one_to_one, score_against_truth


def matched(detected, scores, truth, tolerance):
    """The pairs of coordinates, with the scores."""
    found = match_one_to_one(np.reshape(detected, (-1, 2)), scores, np.reshape(truth, (-1, 2)), tolerance)
    return sorted(
        (tuple(point), score, tuple(truth[index])) for point, score, index in zip(detected, scores, found, strict=True)
        if index >= 0
    )  # fmt: skip


def in_every_order(detected, scores, truth, tolerance):
    """The pairs, which are the same in whatever order the detections and the true points come."""
    expected = matched(detected, scores, truth, tolerance)
    for order in itertools.permutations(range(len(detected))):
        for other in itertools.permutations(range(len(truth))):
            here = [detected[i] for i in order], [scores[i] for i in order], [truth[j] for j in other]
            assert matched(*here, tolerance) == expected
    return [(point, true) for point, _, true in expected]


def test_the_score_decides_before_the_distance():
    assert in_every_order([(7, 5), (5, 5)], [0.9, 0.8], [(5, 5)], 3) == [((7, 5), (5, 5))]


def test_among_equal_scores_the_closest_chooses_first():
    assert in_every_order([(7, 5), (5, 6)], [0.5, 0.5], [(5, 5)], 3) == [((5, 6), (5, 5))]
    # Closest to any true point, also to one that a better detection has taken by then: (1, 0) before (4, 0).
    found = in_every_order([(0, 0), (1, 0), (4, 0)], [0.9, 0.5, 0.5], [(0, 0), (2.5, 0)], 2)
    assert found == [((0, 0), (0, 0)), ((1, 0), (2.5, 0))]


def test_then_the_smaller_x_and_then_the_smaller_y_chooses_first():
    assert in_every_order([(6, 5), (4, 5)], [0.5, 0.5], [(5, 5)], 3) == [((4, 5), (5, 5))]
    assert in_every_order([(5, 6), (5, 4)], [0.5, 0.5], [(5, 5)], 3) == [((5, 4), (5, 5))]
    # All three are 5 away: x goes before y.
    assert in_every_order([(8, 1), (2, 9), (2, 1)], [0.5, 0.5, 0.5], [(5, 5)], 5) == [((2, 1), (5, 5))]
    assert in_every_order([(8, 1), (2, 9)], [0.5, 0.5], [(5, 5)], 5) == [((2, 9), (5, 5))]


def test_of_two_true_points_as_near_the_one_with_the_smaller_x_then_y_is_taken():
    # The detection at (1, 0) stands between two and leaves the other to that at (3, 0).
    found = in_every_order([(1, 0), (3, 0)], [0.5, 0.5], [(0, 0), (2, 0)], 1)
    assert found == [((1, 0), (0, 0)), ((3, 0), (2, 0))]
    assert in_every_order([(0, 1)], [0.5], [(0, 0), (0, 2)], 1) == [((0, 1), (0, 0))]


GRID = st.tuples(st.integers(0, 4), st.integers(0, 4))


@settings(max_examples=200)
@given(
    st.lists(st.tuples(GRID, st.integers(0, 1)), min_size=2, max_size=7, unique_by=lambda detection: detection[0]),
    st.lists(GRID, min_size=2, max_size=5, unique=True),
    st.integers(1, 3),
    st.randoms(use_true_random=False),
)
def test_no_order_of_points_on_a_grid_changes_what_is_matched(detections, truth, tolerance, shuffler):
    def pairs():
        points, scores = zip(*detections, strict=True)
        return matched(points, scores, truth, tolerance)

    expected = pairs()
    shuffler.shuffle(detections)
    shuffler.shuffle(truth)
    assert pairs() == expected


def test_average_precision_takes_equal_scores_at_once():
    # Points of the curve at 0.9, 0.5 and 0.2: precision 1, 2/4, 3/5 at recall 1/3, 2/3, 1, so 3/5 holds for the last
    # two thirds: (1 + 3/5 + 3/5) / 3. One at a time it would be between 1/3 + 1/3 + 3/5 / 3 and 1/3 + 2 * 3/5 / 3.
    detections = [(0.9, True), (0.5, False), (0.5, True), (0.5, False), (0.2, True)]
    for order in itertools.permutations(detections):
        curve = average_precision([tuple(zip(*order, strict=True))], 3)
        assert curve.thresholds.tolist() == [0.9, 0.5, 0.2]
        np.testing.assert_allclose(curve.precision, [1, 2 / 4, 3 / 5])
        np.testing.assert_allclose(curve.recall, [1 / 3, 2 / 3, 1])
        assert curve.ap == pytest.approx(11 / 15)


def test_equal_scores_of_different_images_enter_together():
    images = [([0.5], [True]), ([0.5, 0.5], [False, False])]
    for order in itertools.permutations(images):
        assert average_precision(order, 1).ap == pytest.approx(1 / 3)


def test_the_measures_of_a_detector_do_not_depend_on_the_order_of_equal_scores():
    rng = np.random.default_rng(0)
    points, truth = rng.integers(4, 28, (40, 2)), rng.integers(4, 28, (15, 2))
    points, truth = np.unique(points, axis=0), np.unique(truth, axis=0)
    scores = rng.integers(1, 4, len(points)) / 4

    def measured():
        found = score_against_truth([(points, scores)], [truth], 2.0, 4, (32, 32), threshold=0.5)
        return found.ap, found.precision, found.recall, found.localization_error

    expected = measured()
    assert 0 < expected[0] < 1
    for _ in range(20):
        order, other = rng.permutation(len(points)), rng.permutation(len(truth))
        points, scores, truth = points[order], scores[order], truth[other]
        assert measured() == pytest.approx(expected)
