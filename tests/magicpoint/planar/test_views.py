"""Scenes four times."""

import pickle

import numpy as np
import pytest

from magicpoint.data.photometric import PhotometricSettings
from magicpoint.planar.scenes import Scene, SceneSettings, SceneStream, draw_boards
from magicpoint.planar.views import SceneViews, turned

SCENE = Scene(
    np.arange(12, dtype=np.uint8).reshape(3, 4),
    np.array([[[0, 0], [3, 0], [3, 1], [0, 1]]], np.float32),
    np.ones(1, np.float32),
    np.zeros(1, np.int64),
)


@pytest.mark.parametrize(
    ("number", "first", "second"),
    [(0, (0, 0), (3, 0)), (1, (3, 2), (0, 2)), (2, (0, 0), (3, 0)), (3, (3, 2), (0, 2))],
)
def test_the_corners_turn_with_the_image(number, first, second):
    """A mirrored template has its top-left corner where its top-right one was, so that it stays clockwise."""
    view = turned(SCENE, number)
    assert tuple(view.corners[0, 0]) == first
    assert tuple(view.corners[0, 1]) == second
    x, y = first
    corner_shown = {0: 0, 1: 0, 2: 3, 3: 3}[number]
    assert view.image[y, x] == corner_shown
    (a, b, c) = view.corners[0, :3]
    assert np.linalg.det([b - a, c - b]) > 0


def test_views_are_those_of_the_same_scene_whoever_asks():
    settings = SceneSettings((64, 96), shorter_side=(20.0, 40.0), photometric=PhotometricSettings(probability=0.0))
    stream = SceneStream(draw_boards(3), seed=2, settings=settings)
    views, others = SceneViews(stream, 0), pickle.loads(pickle.dumps(SceneViews(stream, 0)))
    for number, index in enumerate((5, 21, 37, 53)):
        np.testing.assert_array_equal(views[index].image, turned(stream[5], number).image)
        np.testing.assert_array_equal(others[index].corners, views[index].corners)
    np.testing.assert_array_equal(views[64].image, stream[16].image)
    np.testing.assert_array_equal(others[5].image, views[5].image)
