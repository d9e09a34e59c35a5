"""Relative poses from matches, and their errors, on cases that can be checked on paper."""

import numpy as np
import pytest

from magicpoint.matching.pose import estimate_pose
from magicpoint.measures.pose import direction_error, pose_error, relative_pose, rotation_error

K0 = np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]])
K1 = np.array([[600.0, 0, 300], [0, 600, 200], [0, 0, 1]])


def turn(degrees, axis=2):
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.roll(np.roll(np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]), axis - 2, 0), axis - 2, 1)


def project(points, K, R, t):
    pixels = (points @ R.T + t) @ K.T
    return pixels[:, :2] / pixels[:, 2:]


@pytest.fixture
def matches():
    """100 points seen by two cameras, and the pose of the second."""
    rng = np.random.default_rng(0)
    points = rng.uniform((-2, -2, 4), (2, 2, 8), (100, 3))
    R, t = turn(10, 1) @ turn(3), np.array([-1.0, 0.2, 0.1])
    return project(points, K0, np.eye(3), 0), project(points, K1, R, t), R, t


@pytest.mark.parametrize("degrees", [0, 1e-6, 1, 90, 180])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_error_of_a_rotation_is_its_angle(degrees, axis):
    assert rotation_error(np.eye(3), turn(degrees, axis)) == pytest.approx(degrees, abs=1e-9)
    assert rotation_error(turn(20, axis), turn(20 + degrees, axis)) == pytest.approx(degrees, abs=1e-9)


def test_the_error_of_a_direction_does_not_depend_on_lengths_but_on_the_sign():
    assert direction_error([1, 0, 0], [0, 5, 0]) == pytest.approx(90)
    assert direction_error([1, 0, 0], [3, 0, 0]) == 0
    assert direction_error([1, 0, 0], [-1, 0, 0]) == pytest.approx(180)


def test_the_error_of_a_pose_is_the_larger_one():
    assert pose_error((turn(7), [1, 0, 0]), (np.eye(3), [1, 0, 0])) == pytest.approx(7)
    assert pose_error((turn(7), [0, 1, 0]), (np.eye(3), [1, 0, 0])) == pytest.approx(90)
    assert pose_error(None, (np.eye(3), [1, 0, 0])) == np.inf


def test_the_relative_pose_leads_from_one_camera_to_the_other():
    R0, R1, t0, t1, point = (
        turn(30),
        turn(50, 0),
        np.array([1.0, 2, 3]),
        np.array([-1.0, 0, 2]),
        np.array([0.3, 0.4, 5]),
    )
    R, t = relative_pose(R0, t0, R1, t1)
    np.testing.assert_allclose(R @ (R0 @ point + t0) + t, R1 @ point + t1)


def test_exact_matches_give_the_pose(matches):
    places0, places1, R, t = matches
    found = estimate_pose(places0, places1, K0, K1)
    assert pose_error((found.R, found.t), (R, t)) < 0.01
    assert np.linalg.norm(found.t) == pytest.approx(1)
    assert found.inliers.all()


def test_wrong_matches_are_left_out(matches):
    places0, places1, R, t = matches
    places1 = places1.copy()
    places1[:30] = np.random.default_rng(1).uniform(0, 600, (30, 2))
    found = estimate_pose(places0, places1, K0, K1)
    assert pose_error((found.R, found.t), (R, t)) < 0.1
    assert found.inliers[30:].all()
    assert found.inliers[:30].mean() < 0.2


def test_too_few_matches_fix_no_pose(matches):
    assert estimate_pose(matches[0][:4], matches[1][:4], K0, K1) is None
    assert estimate_pose(np.zeros((0, 2)), np.zeros((0, 2)), K0, K1) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keypoints0": np.zeros((3, 3))}, "shape"),
        ({"keypoints0": np.zeros((3, 2))}, "no matches"),
        ({"keypoints0": np.full((100, 2), np.nan)}, "finite"),
        ({"threshold": 0.0}, "threshold"),
    ],
)
def test_unusable_arguments_are_refused(matches, change, message):
    arguments = {"keypoints0": matches[0], "keypoints1": matches[1], "K0": K0, "K1": K1} | change
    with pytest.raises(ValueError, match=message):
        estimate_pose(**arguments)
