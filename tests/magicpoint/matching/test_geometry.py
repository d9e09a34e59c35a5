"""What ties two images together: matrices that are known on paper, matches that are wrong, too few of them."""

import numpy as np
import pytest

from magicpoint.core.errors import InputError
from magicpoint.matching.fundamental import sampson_distances
from magicpoint.matching.geometry import estimate_geometry
from magicpoint.matching.settings import GeometrySettings

K = np.array([[500.0, 0, 319.5], [0, 500, 239.5], [0, 0, 1]])
ANGLE = 0.1
R = np.array([[np.cos(ANGLE), 0, np.sin(ANGLE)], [0, 1, 0], [-np.sin(ANGLE), 0, np.cos(ANGLE)]])
T = np.array([0.9, 0.0, 0.1]) / np.linalg.norm([0.9, 0.0, 0.1])
WRONG = 20


@pytest.fixture(params=["opencv", "poselib"])
def solver(request):
    if request.param == "poselib":
        pytest.importorskip("poselib")
    return request.param


def two_views(flat=False):
    """80 true matches of a cloud of points, or of a wall, and 20 wrong ones."""
    rng = np.random.default_rng(0)
    depths = 4.0 if flat else rng.uniform(3, 6, 80)
    points = np.column_stack((rng.uniform(-1.5, 1.5, (80, 2)), np.broadcast_to(depths, 80)))
    views = [points @ K.T, (points @ R.T + T) @ K.T]
    places = [view[:, :2] / view[:, 2:] for view in views]
    wrong = rng.uniform((0, 0), (640, 480), (2, WRONG, 2))
    return [np.concatenate(both) for both in zip(places, wrong, strict=True)]


def across(t):
    return np.array([[0, -t[2], t[1]], [t[2], 0, -t[0]], [-t[1], t[0], 0]])


def unit(matrix):
    """Of norm 1, the largest entry positive."""
    matrix = matrix / np.linalg.norm(matrix)
    return matrix * np.sign(matrix.flat[np.abs(matrix).argmax()])


def check_inliers(found, most_by_chance=3):
    assert found.inliers[:-WRONG].all()
    assert found.inliers[-WRONG:].sum() <= most_by_chance


def test_a_fundamental_matrix_is_that_of_the_cameras(solver):
    found = estimate_geometry(*two_views(), GeometrySettings("fundamental", solver=solver))
    expected = np.linalg.inv(K).T @ across(T) @ R @ np.linalg.inv(K)
    np.testing.assert_allclose(found.matrix, unit(expected), atol=1e-3)
    check_inliers(found)


def test_an_essential_matrix_gives_the_pose(solver):
    points0, points1 = two_views()
    other = np.diag([2.0, 2.0, 1.0]) @ K  # of a camera with twice as many pixels
    found = estimate_geometry(points0, 2 * points1, GeometrySettings("essential", 2.0, solver), K, other)
    np.testing.assert_allclose(found.R, R, atol=2e-3)
    np.testing.assert_allclose(found.t, T, atol=5e-3)
    np.testing.assert_allclose(found.matrix, across(found.t) @ found.R, atol=1e-12)
    check_inliers(found)


def test_a_homography_is_that_of_the_wall(solver):
    found = estimate_geometry(*two_views(flat=True), GeometrySettings(solver=solver))
    expected = K @ (R + np.outer(T, (0, 0, 1 / 4))) @ np.linalg.inv(K)
    np.testing.assert_allclose(found.matrix, expected / expected[2, 2], rtol=1e-3, atol=1e-5)
    check_inliers(found, 0)


@pytest.mark.parametrize("model", ["homography", "fundamental", "essential"])
def test_too_few_matches_and_matches_of_nothing_tell_nothing(solver, model):
    cameras = (K, K) if model == "essential" else ()
    for count in (0, 3):
        points = [places[:count] for places in two_views()]
        assert estimate_geometry(*points, GeometrySettings(model, solver=solver), *cameras) is None
    same = np.ones((30, 2))
    found = estimate_geometry(same, same, GeometrySettings(model, solver=solver), *cameras)
    assert found is None or np.isfinite(found.matrix).all()


def test_a_match_that_is_two_rows_off_moves_a_row_in_each_image():
    # A camera that moved sideways: matches are on the same row.
    F = across(np.array([1.0, 0, 0]))
    points0 = np.array([[10.0, 20.0], [10.0, 20.0]])
    points1 = np.array([[7.0, 20.0], [7.0, 22.0]])
    np.testing.assert_allclose(sampson_distances(F, points0, points1), [0, 2**0.5])


@pytest.mark.parametrize(
    ("settings", "cameras", "said"),
    [
        (GeometrySettings("essential"), (), "needs the intrinsics"),
        (GeometrySettings("essential"), (K, None), "needs the intrinsics"),
        (GeometrySettings("fundamental"), (K, K), "intrinsics are for an essential matrix"),
        (GeometrySettings("essential"), (K, np.zeros((3, 3))), "invertible"),
    ],
)
def test_intrinsics_that_are_missing_or_too_many_are_refused(settings, cameras, said):
    with pytest.raises(InputError, match=said):
        estimate_geometry(*two_views(), settings, *cameras)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"model": "affine"}, "model must be homography, fundamental or essential"),
        ({"solver": "magic"}, "solver must be"),
        ({"model_threshold": 0}, "model_threshold must be in"),
        ({"model_threshold": float("nan")}, "model_threshold must be a number"),
    ],
)
def test_settings_that_cannot_be_are_refused(values, said):
    with pytest.raises(InputError, match=said):
        GeometrySettings(**values)


def test_without_poselib_it_is_said_how_to_get_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "poselib", None)
    with pytest.raises(ImportError, match=r"magicpoint\[pose\]"):
        estimate_geometry(*two_views(), GeometrySettings(solver="poselib"))
