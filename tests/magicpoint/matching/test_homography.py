"""The homography of matches, fitted to those that agree; `test_nearest` has how it is found among wrong ones."""

import cv2
import numpy as np
import pytest

from magicpoint.matching.homography import estimate_homography

H = np.array([[1.1, 0.1, 20.0], [-0.05, 0.9, 30.0], [1e-4, 2e-4, 1.0]])
CORNERS = np.array([[0.0, 0.0], [640.0, 0.0], [640.0, 480.0], [0.0, 480.0]])


def warped(points, matrix):
    projected = np.c_[points, np.ones(len(points))] @ matrix.T
    return projected[:, :2] / projected[:, 2:]


def corner_error(matrix, truth):
    return np.linalg.norm(warped(CORNERS, matrix) - warped(CORNERS, truth), axis=1).mean()


def unrefined(points0, points1, threshold=3.0):
    return cv2.findHomography(points0, points1, cv2.USAC_MAGSAC, threshold, maxIters=10_000, confidence=0.9999)[0]


@pytest.mark.parametrize(
    "truth",
    [
        np.eye(3),
        H,
        # Far from the origin, and with a last entry of 0: where the image's corner lies on the horizon.
        np.array([[1.0, 0.0, 30_000.0], [0.0, 1.0, -50_000.0], [0.0, 0.0, 1.0]]),
        np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1e-2, 1e-2, 0.0]]),
        np.diag([1e-3, 1e-3, 1.0]),
    ],
    ids=["identity", "perspective", "far", "horizon", "small"],
)
def test_exact_matches_give_the_exact_homography(truth):
    points0 = np.random.default_rng(0).uniform(50, 600, (60, 2))
    points1 = warped(points0, truth)
    extent = np.ptp(points1, axis=0).max()
    estimate = estimate_homography(points0, points1, extent / 200)
    assert np.abs(warped(points0, estimate.H_0to1) - points1).max() < 1e-8 * max(extent, np.abs(points1).max())
    assert estimate.inliers.all()
    if truth[2, 2]:
        np.testing.assert_allclose(estimate.H_0to1, truth, rtol=1e-6, atol=1e-6)


def test_wrong_matches_that_pass_for_right_ones_hardly_pull_at_it():
    # A fifth of the matches are off by 2.5 px to the right: within the threshold, so a mean of all errors is 0.5 px.
    generator = np.random.default_rng(0)
    points0 = generator.uniform(0, 600, (100, 2))
    points1 = warped(points0, H)
    points1[:20, 0] += 2.5
    estimate = estimate_homography(points0, points1)
    assert estimate.inliers.all()
    errors = warped(points0[20:], estimate.H_0to1) - warped(points0[20:], H)
    assert np.abs(errors.mean(axis=0)).max() < 0.15


def test_noisy_matches_give_a_better_homography_than_unrefined_ones():
    refined, first = [], []
    for seed in range(30):
        generator = np.random.default_rng(seed)
        points0 = generator.uniform((0, 0), (640, 480), (150, 2))
        points1 = warped(points0, H)
        points1[:60] += generator.normal(0, 0.5, (60, 2))  # exact ones,
        points1[60:100] += generator.normal(0, 2.0, (40, 2))  # less exact ones,
        points1[100:] = generator.uniform((0, 0), (640, 480), (50, 2))  # and wrong ones
        refined.append(corner_error(estimate_homography(points0, points1).H_0to1, H))
        first.append(corner_error(unrefined(points0, points1), H))
    assert np.mean(refined) < 0.8 * np.mean(first)
    assert np.median(refined) < 0.8 * np.median(first)
    assert np.mean(np.less(refined, first)) > 0.7


def test_the_inliers_are_the_matches_within_the_threshold_of_the_homography_that_is_given():
    generator = np.random.default_rng(1)
    points0 = generator.uniform(0, 600, (300, 2))
    points1 = warped(points0, H) + generator.normal(0, 1.5, (300, 2))
    for threshold in (1.0, 3.0):
        estimate = estimate_homography(points0, points1, threshold)
        distances = np.linalg.norm(warped(points0, estimate.H_0to1) - points1, axis=1)
        np.testing.assert_array_equal(estimate.inliers, distances <= threshold)
        assert 20 < estimate.inliers.sum() < 300


def test_a_match_behind_the_horizon_is_no_inlier():
    matrix = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [-0.01, 0.0, 2.0]])  # the horizon is x = 200
    points0 = np.random.default_rng(0).uniform((0, 0), (150, 150), (50, 2))
    points0[0] = 300, 40
    estimate = estimate_homography(points0, warped(points0, matrix))
    assert estimate.inliers.tolist() == [False] + [True] * 49
