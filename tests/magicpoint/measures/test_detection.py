import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magicpoint.measures.detection import average_precision, localization_error, match_one_to_one
from magicpoint.measures.repeatability import repeatability
from magicpoint.measures.statistics import bootstrap_interval

NONE = np.zeros((0, 2))
SHIFT = np.array([[1.0, 0.0, 10.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])

# --- matching


def test_the_best_detection_takes_the_nearest_true_point_and_the_next_one_what_is_left():
    truth = [[0, 0], [3, 0]]
    detected = [[1, 0], [0, 0], [20, 0]]
    # The best, at (1, 0), takes (0, 0), 1 px away; the second finds only (3, 0), 3 px away.
    assert match_one_to_one(detected, [0.9, 0.8, 0.7], truth, 4).tolist() == [0, 1, -1]
    assert match_one_to_one(detected, [0.9, 0.8, 0.7], truth, 2).tolist() == [0, -1, -1]
    assert match_one_to_one(detected, [0.8, 0.9, 0.7], truth, 2).tolist() == [1, 0, -1]


def test_a_second_detection_of_a_corner_is_no_match():
    assert match_one_to_one([[5, 5], [5, 5]], [0.5, 0.6], [[5, 5]], 1).tolist() == [-1, 0]


def test_the_tolerance_itself_is_a_match():
    assert match_one_to_one([[3, 4]], [1.0], [[0, 0]], 5).tolist() == [0]
    assert match_one_to_one([[3, 4]], [1.0], [[0, 0]], 4.999).tolist() == [-1]


def test_five_points_with_one_outlier_give_a_precision_of_0_8():
    truth = np.array([[10, 10], [20, 10], [30, 10], [40, 10], [50, 10]])
    detected = truth + np.array([[0, 0], [0, 1], [-1, 0], [0, 0], [0, 30]])
    matches = match_one_to_one(detected, np.ones(5), truth, 2)
    assert np.mean(matches >= 0) == 0.8


def test_among_equal_scores_the_order_of_the_input_does_not_matter():
    truth = [[0, 0], [2, 0]]
    detected = np.array([[1.5, 0], [0.9, 0], [3, 1]])
    for order in ([0, 1, 2], [2, 1, 0], [1, 2, 0]):
        matches = match_one_to_one(detected[order], np.ones(3), truth, 1.5)
        assert dict(zip(order, matches.tolist(), strict=True)) == {0: 1, 1: 0, 2: -1}


@pytest.mark.parametrize(("n", "m"), [(0, 0), (0, 3), (2, 0)])
def test_matching_without_points(n, m):
    assert match_one_to_one(np.ones((n, 2)), np.ones(n), np.ones((m, 2)), 3).tolist() == [-1] * n


def test_matching_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match=r"\(2, 3\)"):
        match_one_to_one(np.ones((2, 3)), np.ones(2), NONE, 1)
    with pytest.raises(ValueError, match="1 scores do not fit 2"):
        match_one_to_one(np.ones((2, 2)), np.ones(1), NONE, 1)
    with pytest.raises(ValueError, match="truth must be finite"):
        match_one_to_one(NONE, [], [[math.nan, 0]], 1)
    with pytest.raises(ValueError, match="-1"):
        match_one_to_one(NONE, [], NONE, -1)
    with pytest.raises(ValueError, match=r"scores must have shape \(N,\), got \(1, 1\)"):
        match_one_to_one([[0, 0]], [[1]], NONE, 1)


# --- average precision


def test_three_detections_of_two_true_points():
    # Right, wrong, right: precision 1, 1/2, 2/3 at recall 1/2, 1/2, 1. Area 1/2 * 1 + 1/2 * 2/3 = 5/6.
    curve = average_precision([([0.9, 0.8, 0.7], [True, False, True])], 2)
    assert curve.thresholds.tolist() == [0.9, 0.8, 0.7]
    np.testing.assert_allclose(curve.precision, [1, 1 / 2, 2 / 3])
    np.testing.assert_allclose(curve.recall, [1 / 2, 1 / 2, 1])
    assert curve.ap == pytest.approx(5 / 6)


def test_precision_is_interpolated_from_the_right():
    # Wrong, right: precision 0, 1/2; the envelope is 1/2 throughout.
    assert average_precision([([0.9, 0.8], [False, True])], 1).ap == pytest.approx(1 / 2)
    # Wrong, right, right: 0, 1/2, 2/3; the envelope 2/3 also holds at the recall of the second.
    assert average_precision([([0.9, 0.8, 0.7], [False, True, True])], 2).ap == pytest.approx(2 / 3)


def test_images_are_pooled_into_one_curve():
    # Alone: 1 and 1/2. Pooled: right, wrong, right as above.
    images = [([0.9], [True]), ([0.8, 0.7], [False, True])]
    assert average_precision(images, 2).ap == pytest.approx(5 / 6)


def test_equal_scores_enter_together():
    for positives in ([True, False], [False, True]):
        curve = average_precision([([0.5, 0.5], positives)], 1)
        assert curve.precision.tolist() == [0.5]
        assert curve.ap == pytest.approx(0.5)


def test_missed_points_limit_the_area():
    assert average_precision([([0.5], [True])], 4).ap == pytest.approx(0.25)
    assert average_precision([([0.5, 0.4], [True, True])], 2).ap == 1.0


def test_undefined_and_empty_average_precision():
    assert average_precision([], 3).ap == 0.0
    assert average_precision([([], [])], 3).ap == 0.0
    assert average_precision([([0.5], [False])], 3).ap == 0.0
    nothing_to_find = average_precision([([0.5], [False])], 0)
    assert math.isnan(nothing_to_find.ap)
    assert nothing_to_find.precision.tolist() == [0.0]


def test_average_precision_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="2 true positives are more than 1"):
        average_precision([([0.5, 0.4], [True, True])], 1)
    with pytest.raises(ValueError, match=r"\(1,\) scores, got bool \(2,\)"):
        average_precision([([0.5], [True, False])], 2)
    with pytest.raises(ValueError, match="int64"):
        average_precision([([0.5], np.array([1]))], 2)
    with pytest.raises(ValueError, match="nan"):
        average_precision([([math.nan], [True])], 2)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1, max_size=12), st.randoms())
def test_average_precision_does_not_depend_on_order_or_on_the_scale_of_scores(detections, shuffler):
    truth_count = len(detections)
    expected = average_precision([tuple(zip(*detections, strict=True))], truth_count).ap
    shuffler.shuffle(detections)
    images = [([2.0**score], [positive]) for score, positive in detections]
    assert average_precision(images, truth_count).ap == pytest.approx(expected)
    assert 0 <= expected <= 1


# --- localisation


def test_localization_error_is_the_mean_distance_of_the_matches():
    detected = [[3, 4], [50, 50], [10, 1]]
    truth = [[10, 0], [0, 0]]
    assert localization_error(detected, truth, [1, -1, 0]) == pytest.approx((5 + 1) / 2)


def test_localization_error_without_a_match_is_nan():
    assert math.isnan(localization_error([[1, 1]], NONE, [-1]))
    assert math.isnan(localization_error(NONE, NONE, []))


@pytest.mark.parametrize("matches", [[2], [-2], [0, 0]])
def test_localization_error_refuses_indices_that_do_not_fit(matches):
    with pytest.raises(ValueError, match="matches must be 1 indices"):
        localization_error([[1, 1]], [[0, 0], [1, 1]], matches)


# --- repeatability


def test_identical_points_repeat_entirely():
    points = [[5, 5], [20, 8], [31, 23]]
    result = repeatability(points, points, np.eye(3), (32, 24), (32, 24), 3)
    assert (result.one_to_one, result.many_to_one, result.localization_error) == (1.0, 1.0, 0.0)
    assert (result.pair_count, result.count0, result.count1) == (3, 3, 3)


def test_a_known_shift_with_points_out_of_sight_on_both_sides():
    # View 1 shows x of view 0 moved by 10: x0 = 25 leaves at 35, and x1 = 5 was at -5 in view 0.
    keypoints0 = [[5, 5], [25, 5], [10, 20]]
    keypoints1 = [[15, 6], [5, 5], [20, 20], [30, 10]]
    result = repeatability(keypoints0, keypoints1, SHIFT, (32, 24), (32, 24), 3)
    assert (result.count0, result.count1, result.pair_count) == (2, 3, 2)
    assert result.one_to_one == pytest.approx(2 * 2 / 5)
    assert result.many_to_one == pytest.approx((2 + 2) / 5)
    assert result.localization_error == pytest.approx((1 + 0) / 2)


def test_a_cluster_counts_many_to_one_but_not_one_to_one():
    # Three points of view 1 around one of view 0: one pair, but all four have a neighbour.
    result = repeatability([[10, 10]], [[10, 10], [11, 10], [10, 12]], np.eye(3), (32, 24), (32, 24), 3)
    assert result.many_to_one == 1.0
    assert result.one_to_one == pytest.approx(2 / 4)


def test_the_tolerance_counts_in_view_1():
    double = np.diag([2.0, 2.0, 1.0])
    assert repeatability([[5, 5]], [[13, 10]], double, (32, 24), (64, 48), 3).one_to_one == 1.0
    assert repeatability([[5, 5]], [[13, 10]], double, (32, 24), (64, 48), 2.9).one_to_one == 0.0


def test_the_outer_edge_of_the_corner_pixels_is_still_in_view():
    half = np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    assert repeatability([[31, 5]], NONE, half, (32, 24), (32, 24), 3).count0 == 1
    half[0, 2] = 0.6
    assert repeatability([[31, 5]], NONE, half, (32, 24), (32, 24), 3).count0 == 0


def test_points_beyond_the_horizon_are_not_in_view():
    # w = 1 - x / 10 is zero at x = 10; x = 20 would be mirrored to (-20, -5).
    H = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [-0.1, 0.0, 1.0]])
    result = repeatability([[20, 5], [5, 5]], [[10, 10]], H, (32, 24), (32, 24), 1)
    assert (result.count0, result.count1, result.one_to_one) == (1, 1, 1.0)


def test_undefined_and_zero_repeatability():
    nothing = repeatability(NONE, NONE, np.eye(3), (32, 24), (32, 24), 3)
    assert math.isnan(nothing.one_to_one)
    assert math.isnan(nothing.many_to_one)
    assert math.isnan(nothing.localization_error)
    one_side = repeatability([[5, 5]], NONE, np.eye(3), (32, 24), (32, 24), 3)
    assert (one_side.one_to_one, one_side.many_to_one, one_side.count0, one_side.count1) == (0.0, 0.0, 1, 0)
    assert math.isnan(one_side.localization_error)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 12), st.integers(0, 12))
def test_one_to_one_is_never_above_many_to_one_and_the_identity_is_symmetric(seed, n, m):
    generator = np.random.default_rng(seed)
    keypoints0, keypoints1 = (generator.uniform(0, 20, (count, 2)) for count in (n, m))
    forth = repeatability(keypoints0, keypoints1, np.eye(3), (21, 21), (21, 21), 3)
    back = repeatability(keypoints1, keypoints0, np.eye(3), (21, 21), (21, 21), 3)
    if n + m:
        assert 0 <= forth.one_to_one <= forth.many_to_one <= 1
        assert (forth.one_to_one, forth.many_to_one) == (back.one_to_one, back.many_to_one)


# --- bootstrap


def test_equal_values_have_no_width_and_no_values_no_interval():
    assert bootstrap_interval([0.5] * 7, np.random.default_rng(0)) == (0.5, 0.5)
    assert bootstrap_interval([0.25], np.random.default_rng(0)) == (0.25, 0.25)
    assert all(math.isnan(end) for end in bootstrap_interval([], np.random.default_rng(0)))


def test_the_interval_of_many_normal_values_is_that_of_their_mean():
    # The mean of n values of deviation 1 has deviation 1 / sqrt(n), and 95 % lie within 1.96 of these.
    values = np.random.default_rng(0).normal(3.0, 1.0, 400)
    values = (values - values.mean()) / values.std() + 3.0
    lower, upper = bootstrap_interval(values, np.random.default_rng(1), count=5000)
    assert lower == pytest.approx(3.0 - 1.96 / 20, abs=0.01)
    assert upper == pytest.approx(3.0 + 1.96 / 20, abs=0.01)
    narrow = bootstrap_interval(values, np.random.default_rng(1), level=0.5, count=5000)
    assert narrow[1] == pytest.approx(3.0 + 0.674 / 20, abs=0.01)


def test_the_same_generator_gives_the_same_interval():
    values = [0.1, 0.5, 0.2, 0.9]
    first, second = (bootstrap_interval(values, np.random.default_rng(3)) for _ in range(2))
    assert first == second
    assert first[0] < np.mean(values) < first[1]


def test_bootstrap_refuses_bad_arguments():
    generator = np.random.default_rng(0)
    with pytest.raises(ValueError, match="nan"):
        bootstrap_interval([math.nan, 1.0], generator)
    with pytest.raises(ValueError, match=r"1\.5"):
        bootstrap_interval([1.0], generator, level=1.5)
    with pytest.raises(ValueError, match=r"got 0\.95 and 0"):
        bootstrap_interval([1.0], generator, count=0)
