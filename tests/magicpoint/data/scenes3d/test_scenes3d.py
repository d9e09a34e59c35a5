"""Rendered scenes, on cases that can be checked on paper."""

import cv2
import numpy as np
import pytest

from magicpoint.data.scenes3d.camera import Camera, intrinsics, look_at
from magicpoint.data.scenes3d.interior import InteriorSettings, draw_view_pair, overlap
from magicpoint.data.scenes3d.render import TexturedPlane, render, transfer

FOCAL, SIZE = 100.0, (64, 48)
K = np.array([[FOCAL, 0, 31.5], [0, FOCAL, 23.5], [0, 0, 1]])


def camera(x=0.0, y=0.0, z=0.0):
    """At (x, y, z), looking along z."""
    return Camera(K, np.eye(3), -np.array([x, y, z]), SIZE)


def plane_at(corner, right, down, grey):
    return TexturedPlane(np.full((8, 8), grey, np.uint8), *(np.array(v, float) for v in (corner, right, down)))


def wall(depth, width=4.0, height=4.0, texture=None, x=0.0, y=0.0):
    """A plane across the line of sight, with (x, y) in its middle."""
    texture = np.full((8, 8), 200, np.uint8) if texture is None else texture
    corner = np.array([x - width / 2, y - height / 2, depth])
    return TexturedPlane(texture, corner, np.array([width, 0, 0]), np.array([0, height, 0]))


def pixels(values, places):
    """The values of the nearest pixels."""
    column, row = np.floor(places + 0.5).astype(int).T
    return values[row, column]


def photographs(count=8, size=160, seed=0):
    rng = np.random.default_rng(seed)
    coarse = (rng.integers(0, 256, (size // 4, size // 4)).astype(np.uint8) for _ in range(count))
    return [cv2.resize(image, (size, size), interpolation=cv2.INTER_CUBIC) for image in coarse]


def test_a_point_is_seen_where_the_pinhole_puts_it():
    places, depths = camera().project([[0, 0, 2], [0.1, -0.2, 4], [0, 0, -1]])
    np.testing.assert_allclose(places[:2], [[31.5, 23.5], [31.5 + 100 * 0.1 / 4, 23.5 - 100 * 0.2 / 4]])
    assert np.isnan(places[2]).all()
    assert depths.tolist() == [2, 4, -1]


def test_rays_lead_back_to_the_points():
    points = np.array([[0.3, 0.2, 2.0], [-0.4, 0.1, 5.0]])
    places, depths = camera(0.1, 0.2, -0.3).project(points)
    rays = camera(0.1, 0.2, -0.3).rays(places)
    np.testing.assert_allclose(rays * depths[:, None] + [0.1, 0.2, -0.3], points)


def test_resizing_keeps_the_outer_edges():
    fine = camera().resized(2)
    assert fine.image_size == (128, 96)
    [[x, y]], _ = camera().project([[0.2, 0.1, 1.0]])
    np.testing.assert_allclose(fine.project([[0.2, 0.1, 1.0]])[0], [[(x + 0.5) * 2 - 0.5, (y + 0.5) * 2 - 0.5]])


def test_a_camera_has_its_target_in_the_middle_and_what_is_below_further_down():
    found = look_at((1, -2, 3), (0, -1, 0), K, SIZE)
    np.testing.assert_allclose(found.centre, [1, -2, 3])
    np.testing.assert_allclose(found.project([[0, -1, 0]])[0], [[31.5, 23.5]])
    assert found.project([[0, -0.5, 0]])[0][0, 1] > 23.5
    np.testing.assert_allclose(found.R @ found.R.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(found.R) > 0


def test_the_field_of_view_reaches_the_outer_edges():
    half = np.pi / 6
    [[x, _]], _ = Camera(intrinsics(SIZE, 2 * half), np.eye(3), np.zeros(3), SIZE).project([[np.tan(half), 0, 1]])
    assert x == pytest.approx(63.5)


def test_a_ramp_is_rendered_as_it_is():
    """At depth 1 a texel of 1 / 100 is a pixel: grey level 4 u at pixel u, and whole numbers a quarter of it beside."""
    ramp = np.tile(np.arange(0, 256, 4, np.uint8), (48, 1))
    view = render([wall(1.0, 0.64, 0.48, ramp)], camera())
    np.testing.assert_array_equal(view.image[:, 1:-1], ramp[:, 1:-1])
    np.testing.assert_allclose(view.depth, 1.0)
    assert (view.surface == 0).all()


def test_the_depth_of_a_slanted_plane():
    """The plane z = 2 + x: on the ray (x', y', 1) it lies at z = 2 / (1 - x')."""
    plane = TexturedPlane(
        np.full((8, 8), 90, np.uint8), np.array([-1.5, -5, 0.5]), np.array([3.0, 0, 3]), np.array([0, 10.0, 0])
    )
    view = render([plane], camera())
    rays = (np.arange(64) - 31.5) / FOCAL
    np.testing.assert_allclose(view.depth, np.tile(2 / (1 - rays), (48, 1)))
    assert (view.image == 90).all()


def test_a_step_to_the_side_moves_points_by_focal_length_times_step_over_depth():
    scene = [wall(2.0)]
    view0, view1 = render(scene, camera()), render(scene, camera(x=0.1))
    keypoints = np.array([[20.25, 10.5], [40.0, 30.75]])
    places, shown = transfer(keypoints, view0, view1)
    np.testing.assert_allclose(places, keypoints - [FOCAL * 0.1 / 2, 0])
    assert shown.all()


def test_what_leaves_the_image_or_is_hidden_is_not_shown():
    scene = [wall(2.0), wall(1.0, 0.2, 0.2, x=-0.4)]
    view0, view1 = render(scene, camera()), render(scene, camera(x=-0.5))
    # A point of the wall at pixel 18.5 + 25 = 43.5 of view 1; there the small plane stands from 31.5 + 100 (0 .. 0.2).
    places, shown = transfer(np.array([[18.5, 23.5], [60.5, 23.5], [18.5, 5.5]]), view0, view1)
    np.testing.assert_allclose(places[:, 0], [43.5, 85.5, 43.5])
    assert shown.tolist() == [False, False, True]


def test_nothing_behind_a_pixel_is_nan_and_infinitely_far():
    view = render([wall(1.0, 0.2, 0.2)], camera())
    assert np.isinf(view.depth[0, 0])
    assert view.surface[0, 0] == -1
    assert view.image[0, 0] == 0
    places, shown = transfer(np.array([[0.0, 0.0], [-3.0, 5.0], [31.0, 23.0]]), view, view)
    assert np.isnan(places[:2]).all()
    np.testing.assert_allclose(places[2], [31, 23])
    assert shown.tolist() == [False, False, True]


def test_a_plane_that_passes_the_camera_is_cut():
    """The floor one metre below, from behind the camera to the horizon: seen in every pixel below the middle."""
    floor = TexturedPlane(
        np.full((4, 4), 77, np.uint8), np.array([-500.0, 1, -1000]), np.array([1000.0, 0, 0]), np.array([0, 0, 2000.0])
    )
    view = render([floor], camera())
    np.testing.assert_allclose(view.depth[24:], np.tile(FOCAL / (np.arange(24, 48) - 23.5)[:, None], (1, 64)))
    assert np.isinf(view.depth[:24]).all()
    assert (view.image[25:] == 77).all()


def test_a_scene_needs_a_plane():
    with pytest.raises(ValueError, match="plane"):
        render([], camera())


@pytest.mark.parametrize("seed", [0, 1])
def test_two_views_of_a_room_agree(seed):
    """What is seen in both has the same grey in both, and places lead there and back."""
    settings = InteriorSettings(image_size=(160, 120))
    view0, view1 = draw_view_pair(photographs(), np.random.default_rng(seed), settings)
    assert min(overlap(view0, view1), overlap(view1, view0)) >= settings.least_overlap - 0.05
    x, y = np.meshgrid(np.arange(2, 158, 3), np.arange(2, 118, 3))
    places0 = np.column_stack((x.ravel(), y.ravel())).astype(float)
    places1, shown = transfer(places0, view0, view1)
    places0, places1 = places0[shown], places1[shown]
    back, _ = transfer(places1, view1, view0)
    same = (
        view1.surface[tuple(np.floor(places1[:, ::-1] + 0.5).astype(int).T)]
        == view0.surface[tuple(places0[:, ::-1].astype(int).T)]
    )
    assert same.mean() > 0.9
    np.testing.assert_allclose(back[same], places0[same], atol=1e-6)
    grey0 = pixels(view0.image, places0).astype(float)
    grey1 = cv2.remap(view1.image.astype(np.float32), *places1.astype(np.float32).T, cv2.INTER_LINEAR).ravel()
    assert np.corrcoef(grey0[same], grey1[same])[0, 1] > 0.9
    assert np.median(np.abs(grey0 - grey1)[same]) < 10


def test_the_generator_decides_everything():
    settings = InteriorSettings(image_size=(80, 64))
    one, other = (draw_view_pair(photographs(), np.random.default_rng(4), settings) for _ in range(2))
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a.image, b.image)
        np.testing.assert_array_equal(a.depth, b.depth)
