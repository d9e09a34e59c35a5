"""A corner is a label where it can be seen."""

import numpy as np
import pytest

from synthetic_shapes.background import draw_background
from synthetic_shapes.canvas import Canvas
from synthetic_shapes.primitives import PRIMITIVES, SHAPES_WITH_KEYPOINTS
from synthetic_shapes.visibility import MIN_EIGENVALUE, visible_corners

SQUARE = [40 + 30j, 80 + 30j, 80 + 70j, 40 + 70j]
CORNERS = np.array([(z.real, z.imag) for z in SQUARE])


def square_on(background, grey):
    canvas = Canvas(np.full((100, 120), background, np.uint8))
    canvas.polygon(SQUARE, grey)
    return canvas


def strength(image, corner):
    """The smaller eigenvalue of the structure tensor over 5x5 pixels, written out."""
    x, y = np.rint(corner).astype(int)
    patch = image[y - 3 : y + 4, x - 3 : x + 4].astype(np.float64)
    dx, dy = np.gradient(patch, axis=1)[1:-1, 1:-1], np.gradient(patch, axis=0)[1:-1, 1:-1]
    tensor = [[(dx * dx).mean(), (dx * dy).mean()], [(dx * dy).mean(), (dy * dy).mean()]]
    return np.linalg.eigvalsh(tensor)[0]


def test_the_corners_of_a_square_are_seen():
    seen = visible_corners(square_on(60, 200.0).image(), CORNERS)
    assert seen.dtype == np.float32
    np.testing.assert_array_equal(seen, CORNERS)


def test_no_contrast_no_corner():
    assert visible_corners(square_on(60, 60.0).image(), CORNERS).shape == (0, 2)
    assert visible_corners(square_on(60, 64.0).image(), CORNERS).shape == (0, 2)


def test_a_corner_beneath_another_shape_is_hidden():
    canvas = square_on(60, 200.0)
    canvas.polygon([65 + 55j, 110 + 55j, 110 + 95j, 65 + 95j], 120.0)
    np.testing.assert_array_equal(visible_corners(canvas.image(), CORNERS), CORNERS[[0, 1, 3]])


def test_a_place_on_an_edge_is_no_corner():
    image = square_on(0, 255.0).image()
    assert visible_corners(image, np.array([(60.0, 30.0), (40.0, 50.0), (60.0, 50.0)])).shape == (0, 2)


def test_corners_outside_are_left_out_up_to_the_centres_of_the_border_pixels():
    canvas = Canvas(np.zeros((100, 120), np.uint8))
    places = [(0.0, 50.0), (-0.01, 20.0), (119.0, 80.0), (119.01, 30.0), (60.0, 99.0), (60.0, -5.0), (1e9, 50.0)]
    for x, y in places[:-1]:
        canvas.polygon([complex(x, y) + step for step in (0, 12 - 6j, 12 + 6j)], 255.0)
        canvas.polygon([complex(x, y) + step for step in (0, -12 + 6j, -12 - 6j)], 255.0)
    seen = visible_corners(canvas.image(), np.array(places))
    np.testing.assert_array_equal(seen, np.array(places)[[0, 2, 4]])


def test_the_threshold_is_the_eigenvalue():
    rng = np.random.default_rng(0)
    corners = 10.0 + 80.0 * rng.random((200, 2))
    for deviation in (1.0, 4.0, 6.0):
        image = np.clip(100 + deviation * rng.standard_normal((100, 100)), 0, 255).astype(np.uint8)
        expected = [strength(image, corner) >= MIN_EIGENVALUE for corner in corners]
        np.testing.assert_array_equal(visible_corners(image, corners), corners[expected].astype(np.float32))


def test_no_corners_are_fine():
    assert visible_corners(np.zeros((48, 48), np.uint8), np.empty((0, 2))).shape == (0, 2)


@pytest.mark.parametrize("shape", SHAPES_WITH_KEYPOINTS)
def test_what_is_drawn_well_inside_is_always_seen(shape):
    checked = 0
    for seed in range(80):
        rng = np.random.default_rng(seed)
        canvas = Canvas(draw_background(120, 160, rng))
        corners = PRIMITIVES[shape](canvas, rng)
        well_inside = ((corners > 5) & (corners < (154, 114))).all(axis=1)
        seen = visible_corners(canvas.image(), corners[well_inside])
        assert len(seen) == well_inside.sum()
        checked += len(seen)
    assert checked > 200
