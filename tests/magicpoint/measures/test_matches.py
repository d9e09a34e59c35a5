import numpy as np
import pytest
import torch

from magicpoint.core.types import Features, Matches
from magicpoint.evaluation.pairs.score import measure_pair
from magicpoint.measures.matches import (
    area_under_recall,
    corner_error,
    match_errors,
    matching_accuracy,
    matching_recall,
    matching_score,
    nearest_neighbour_ap,
)
from magicpoint.measures.statistics import bootstrap_over_groups

IDENTITY = np.eye(3)
SHIFT = np.array([[1.0, 0.0, 10.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
FIVE = [[10.0, 10.0], [80.0, 10.0], [80.0, 80.0], [10.0, 80.0], [60.0, 60.0]]


def features(points, descriptors=None, size=(100, 100)):
    points = torch.tensor(points, dtype=torch.float32).reshape(-1, 2)
    descriptors = np.eye(max(len(points), 5))[: len(points)] if descriptors is None else descriptors
    return Features(points, torch.ones(len(points)), torch.tensor(descriptors, dtype=torch.float32), size)


def matched(*pairs):
    return Matches(torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2), torch.ones(len(pairs)))


DIAGONAL = matched(*((i, i) for i in range(5)))


def test_errors_of_matches_are_in_view_1_after_the_homography():
    view0, view1 = features([[10, 10], [20, 20]]), features([[20, 10], [33, 24]])
    np.testing.assert_allclose(match_errors(view0, view1, matched((0, 0), (1, 1)), SHIFT), [0, 5])
    np.testing.assert_allclose(match_errors(view0, view1, matched((1, 0)), IDENTITY), [10])


def test_a_match_behind_the_horizon_is_infinitely_wrong():
    behind = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [-0.1, 0.0, 1.0]])
    assert match_errors(features([[20, 5]]), features([[20, 5]]), matched((0, 0)), behind) == [np.inf]


def test_five_matches_with_one_wrong_are_right_to_four_fifths():
    moved = [*FIVE[:4], [60.0, 95.0]]
    errors = match_errors(features(FIVE), features(moved), DIAGONAL, IDENTITY)
    assert matching_accuracy(errors, [1, 10]).tolist() == [0.8, 0.8]
    assert matching_score(features(FIVE), features(moved), DIAGONAL, IDENTITY, 3.0) == pytest.approx(0.8)
    measures = measure_pair(features(FIVE), features(moved), IDENTITY, matching=True)
    assert (measures["matches"], measures["inliers"]) == (5, 4)
    assert measures["corner_error"] == pytest.approx(0, abs=1e-4)
    assert measures["repeatability"] == pytest.approx(0.8)


def test_a_threshold_counts_itself():
    assert matching_accuracy([1.0, 2.0, 2.5, np.inf], [1, 2, 3]).tolist() == [0.25, 0.5, 0.75]


def test_no_match_is_no_accuracy():
    assert matching_accuracy([], [1, 2]).tolist() == [0, 0]


def test_matching_score_divides_by_the_keypoints_that_the_other_view_shows():
    # View 1 shows what is 10 to the left: 0 of view 0 lies at 105 there, and 0 of view 1 came from -5.
    view0 = features([[95, 50], [20, 20], [40, 40]])
    view1 = features([[5, 50], [30, 20], [50, 40], [80, 80], [60, 30]])
    score = matching_score(view0, view1, matched((0, 0), (1, 1), (2, 2)), SHIFT, 3.0)
    assert score == pytest.approx((2 / 2 + 2 / 4) / 2)


def test_a_right_match_outside_of_the_shared_region_does_not_count():
    view0, view1 = features([[99, 50], [20, 20]]), features([[99, 50], [30, 20]])
    # 99 in view 0 is at 109, not shown, although within 10 px of its match.
    assert matching_score(view0, view1, matched((0, 0), (1, 1)), SHIFT, 10.0) == pytest.approx((1 / 1 + 1 / 2) / 2)


def test_matching_score_of_no_keypoints_is_not_defined():
    none = features([])
    assert np.isnan(matching_score(none, none, matched(), IDENTITY, 3.0))
    assert matching_score(none, features(FIVE), matched(), IDENTITY, 3.0) == 0


def test_many_matches_on_one_keypoint_are_refused():
    with pytest.raises(ValueError, match="one to one"):
        matching_score(features(FIVE), features(FIVE), matched((0, 0), (1, 0)), IDENTITY, 3.0)


def test_recall_counts_what_there_is_to_find():
    # Three of view 0 have a counterpart; two of them share the only one that is near.
    view0, view1 = features([[10, 10], [11, 10], [50, 50], [80, 80]]), features([[10, 10], [50, 50], [20, 80]])
    assert matching_recall(view0, view1, matched((0, 0), (2, 1)), IDENTITY, 3.0) == 1
    assert matching_recall(view0, view1, matched((1, 0), (3, 2)), IDENTITY, 3.0) == 0.5
    assert np.isnan(matching_recall(features([]), view1, matched(), IDENTITY, 3.0))


def test_nearest_neighbours_that_are_all_right_have_the_ap_one():
    assert nearest_neighbour_ap(features(FIVE), features(FIVE), IDENTITY, 3.0) == 1
    shifted = [[x + 10, y] for x, y in FIVE]
    assert nearest_neighbour_ap(features(FIVE), features(shifted), SHIFT, 3.0) == 1


def angles(*degrees):
    radians = np.deg2rad(degrees)
    return np.stack((np.cos(radians), np.sin(radians)), axis=1)


def test_a_confident_wrong_neighbour_costs_precision():
    # Right: 0 and 0, at 20 degrees. Keypoint 1 has no counterpart and claims with 10 degrees what is not its own.
    view0 = features([[10, 10], [80, 80]], angles(0, 90))
    view1 = features([[10, 10], [40, 40]], angles(20, 100))
    # From 0: wrong at cos 10, right at cos 20, one to be found: precision 1/2 at recall 1. From 1: the same two.
    assert nearest_neighbour_ap(view0, view1, IDENTITY, 3.0) == pytest.approx(0.5)
    # With the confidences exchanged the right one comes first.
    view1 = features([[10, 10], [40, 40]], angles(10, 110))
    assert nearest_neighbour_ap(view0, view1, IDENTITY, 3.0) == pytest.approx(1.0)


def test_a_cluster_finds_its_one_counterpart_once():
    view0 = features([[10, 10], [11, 10], [12, 10]], angles(0, 1, 2))
    view1 = features([[11, 10]], angles(1))
    # One to be found. From 0 the best claim is right, the two others wrong: 1. From 1 the only claim: 1.
    assert nearest_neighbour_ap(view0, view1, IDENTITY, 3.0) == 1
    # Two to be found, of which one is claimed thrice from 0 (1/2); from 1 both claims are right.
    view1 = features([[11, 10], [12, 11]], angles(1, 60))
    assert nearest_neighbour_ap(view0, view1, IDENTITY, 3.0) == pytest.approx((0.5 + 1) / 2)


def test_ap_without_a_pair_to_be_found_is_not_defined():
    assert np.isnan(nearest_neighbour_ap(features([[10, 10]]), features([[90, 90]]), IDENTITY, 3.0))
    assert np.isnan(nearest_neighbour_ap(features([]), features([]), IDENTITY, 3.0))


def test_corner_error_is_a_mean_distance_in_view_1():
    moved = np.array([[1.0, 0.0, 3.0], [0.0, 1.0, 4.0], [0.0, 0.0, 1.0]])
    assert corner_error(moved, IDENTITY, (640, 480)) == pytest.approx(5)
    # Twice as wide from the left edge: 0 at the left corners, 99 at the right ones.
    assert corner_error(np.diag([2.0, 1.0, 1.0]), IDENTITY, (100, 50)) == pytest.approx(99 / 2)
    assert corner_error(None, IDENTITY, (640, 480)) == np.inf
    behind = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [-0.1, 0.0, 1.0]])
    assert corner_error(behind, IDENTITY, (640, 480)) == np.inf


def test_area_under_the_recall_is_exact():
    # Steps at 0 and 1 of three pairs: (1/3 * 1 + 2/3 * 1) / 2.
    assert area_under_recall([0.0, 1.0, np.inf], 2.0).mean() == pytest.approx(0.5)
    assert area_under_recall([5.0], 5.0).tolist() == [0]


def test_bootstrap_draws_whole_groups():
    generator = np.random.default_rng(0)
    assert bootstrap_over_groups([1, 2, 6], ["a"] * 3, generator) == (3, 3)
    # With two groups of means 0 and 1, of the same size, the mean is 0, a half or 1.
    lower, upper = bootstrap_over_groups([0, 0, 1, 1], ["a", "a", "b", "b"], generator, count=500)
    assert (lower, upper) == (0, 1)
    assert np.isnan(bootstrap_over_groups([], [], generator)).all()
    with pytest.raises(ValueError, match="one group"):
        bootstrap_over_groups([1, 2], ["a"], generator)
