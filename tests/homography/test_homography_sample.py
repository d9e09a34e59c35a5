"""Random homographies: each component does what its name says, nothing folds, and nothing overflows if so asked."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from homography import HomographySettings, sample_homography, sample_views, valid_mask, warp_points

NOTHING = HomographySettings(translation=0, scale=0, rotation=0, perspective=0, patch_ratio=1)
SIZE = (160, 120)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def frame_corners(size: tuple[int, int]) -> NDArray[np.float64]:
    """Outer corners of the frame: top left, top right, bottom right, bottom left."""
    width, height = size
    return np.array([[0, 0], [width, 0], [width, height], [0, height]]) - 0.5


def patches(size: tuple[int, int], H_0to1: NDArray[np.float64]) -> NDArray[np.floating]:
    """Corners (count, 4, 2) in view 0 of what view 1 shows."""
    return warp_points(np.tile(frame_corners(size), (len(H_0to1), 1, 1)), np.linalg.inv(H_0to1))


def draw(count: int = 200, seed: int = 0, **changes: Any) -> NDArray[np.float64]:
    return sample_homography(SIZE, rng(seed), dataclasses.replace(NOTHING, **changes), count)


def test_the_generator_state_determines_the_draws() -> None:
    first, second = rng(7), rng(7)
    np.testing.assert_array_equal(sample_homography(SIZE, first), sample_homography(SIZE, second))
    one_more = sample_homography(SIZE, first, count=5)
    np.testing.assert_array_equal(one_more, sample_homography(SIZE, second, count=5))
    assert len(np.unique(one_more[:, 0, 0])) == 5


def test_shapes_and_a_single_draw_is_a_batch_of_one() -> None:
    single = sample_homography(SIZE, rng())
    assert single.shape == (3, 3)
    assert single.dtype == np.float64
    np.testing.assert_array_equal(single, sample_homography(SIZE, rng(), count=1)[0])
    assert sample_homography(SIZE, rng(), count=0).shape == (0, 3, 3)


def test_without_any_component_it_is_the_identity() -> None:
    np.testing.assert_array_equal(draw(count=3), np.tile(np.eye(3), (3, 1, 1)))


def test_patch_ratio_alone_is_the_centre_crop() -> None:
    # Half of 160 x 120: from 39.5 to 119.5 and from 29.5 to 89.5 in the outer corners of pixels.
    H_0to1 = draw(count=1, patch_ratio=0.5)
    np.testing.assert_allclose(
        patches(SIZE, H_0to1)[0], [[39.5, 29.5], [119.5, 29.5], [119.5, 89.5], [39.5, 89.5]], atol=1e-9
    )
    np.testing.assert_allclose(H_0to1[0], np.array([[2, 0, -79.5], [0, 2, -59.5], [0, 0, 1]]), atol=1e-9)


def test_translation_alone_is_a_shift_within_its_range() -> None:
    H_0to1 = draw(translation=0.1)
    np.testing.assert_allclose(H_0to1[:, :, :2], np.tile(np.eye(3)[:, :2], (200, 1, 1)), atol=1e-12)
    shifts = H_0to1[:, :2, 2]
    assert (np.abs(shifts) <= [16, 12]).all()
    assert (np.abs(shifts).max(axis=0) > [12, 9]).all()
    assert (shifts.min(axis=0) < 0).all()


def test_scale_alone_zooms_about_the_centre() -> None:
    H_0to1 = draw(scale=0.2)
    zoom = H_0to1[:, 0, 0]
    np.testing.assert_allclose(H_0to1[:, 1, 1], zoom)
    centres = np.tile([79.5, 59.5], (200, 1, 1))
    np.testing.assert_allclose(warp_points(centres, H_0to1), centres)
    np.testing.assert_allclose(H_0to1[:, [0, 1, 2, 2], [1, 0, 0, 1]], 0, atol=1e-12)
    patch_scale = 1 / zoom
    assert patch_scale.min() >= 0.8
    assert patch_scale.max() <= 1.2
    assert patch_scale.min() < 0.85
    assert patch_scale.max() > 1.15


def test_rotation_alone_turns_about_the_centre() -> None:
    H_0to1 = draw(rotation=math.pi / 2, patch_ratio=0.8)
    centres = np.tile([79.5, 59.5], (200, 1, 1))
    np.testing.assert_allclose(warp_points(centres, H_0to1), centres)
    # The content turns against the patch: the linear part is R(-angle) / 0.8.
    cos, sin = H_0to1[:, 0, 0] * 0.8, H_0to1[:, 0, 1] * 0.8
    np.testing.assert_allclose(H_0to1[:, 1, 1] * 0.8, cos)
    np.testing.assert_allclose(H_0to1[:, 1, 0] * 0.8, -sin)
    np.testing.assert_allclose(cos**2 + sin**2, 1)
    angle = np.arctan2(sin, cos)
    assert np.abs(angle).max() <= math.pi / 2
    assert np.abs(angle).max() > 1.2
    # A positive angle takes the patch's top left corner towards the right, from x towards y.
    top_edge = np.diff(patches(SIZE, H_0to1)[:, :2], axis=1)[:, 0]
    np.testing.assert_allclose(np.arctan2(top_edge[:, 1], top_edge[:, 0]), angle, atol=1e-12)


def test_perspective_alone_grows_and_shrinks_opposite_sides() -> None:
    H_0to1 = draw(perspective=0.2, patch_ratio=0.85)
    crop = (frame_corners(SIZE) - [79.5, 59.5]) * 0.85
    moves = (patches(SIZE, H_0to1) - [79.5, 59.5] - crop) / SIZE
    # What the left side loses at either end, the right side gains; so do the top and the bottom.
    along_x, along_y = moves[:, :, 0], moves[:, :, 1]
    np.testing.assert_allclose(along_x, along_x[:, :1] * [1, -1, 1, -1], atol=1e-12)
    np.testing.assert_allclose(along_y, along_y[:, :1] * [1, -1, 1, -1], atol=1e-12)
    assert np.abs(moves).max() <= 0.2
    assert np.abs(moves).max() > 0.15
    assert (np.abs(along_x[:, 0]) + np.abs(along_y[:, 0])).max() <= 0.2 + 1e-12


def test_draws_are_normal_and_truncated_at_two_standard_deviations() -> None:
    # Variance of a normal distribution cut at +-2: 1 - 4 phi(2) / (2 Phi(2) - 1) = 0.7737; half its root is 0.4398.
    H_0to1 = draw(count=20_000, rotation=1.0)
    angle = np.arctan2(H_0to1[:, 0, 1], H_0to1[:, 0, 0])
    assert np.abs(angle).max() <= 1
    assert abs(angle.mean()) < 0.01
    assert abs(angle.std() - 0.4398) < 0.008


def test_changing_one_setting_keeps_the_other_draws() -> None:
    turned, both = draw(rotation=1.0), draw(rotation=1.0, translation=0.1)
    np.testing.assert_allclose(both[:, :2, :2], turned[:, :2, :2], atol=1e-12)


valid_settings = st.builds(
    lambda translation, scale, rotation, share, patch_ratio, overflow: HomographySettings(
        translation, scale, rotation, share * patch_ratio / 2, patch_ratio, overflow
    ),
    st.floats(0, 1),
    st.floats(0, 0.95),
    st.floats(0, math.pi),
    st.floats(0, 0.95),
    st.floats(0.05, 1),
    st.booleans(),
)
sizes = st.tuples(st.integers(2, 700), st.integers(2, 700))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), size=sizes, chosen=valid_settings)
def test_nothing_folds_or_mirrors(seed: int, size: tuple[int, int], chosen: HomographySettings) -> None:
    H_0to1 = sample_homography(size, rng(seed), chosen, count=20)
    assert np.isfinite(H_0to1).all()
    assert (np.linalg.det(H_0to1) > 0).all()
    quads = patches(size, H_0to1)
    edges = np.roll(quads, -1, axis=1) - quads
    following = np.roll(edges, -1, axis=1)
    # All four corners turn from x towards y, as the frame's do: convex, and neither folded nor mirrored.
    assert (edges[..., 0] * following[..., 1] - edges[..., 1] * following[..., 0] > 0).all()
    # The patch is in front of the horizon, and its corners go where they should.
    tolerance = 1e-6 * max(size)
    np.testing.assert_allclose(warp_points(quads, H_0to1), np.tile(frame_corners(size), (20, 1, 1)), atol=tolerance)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), size=st.tuples(st.integers(2, 60), st.integers(2, 60)), chosen=valid_settings)
def test_without_overflow_view_1_shows_no_outside(seed: int, size: tuple[int, int], chosen: HomographySettings) -> None:
    chosen = dataclasses.replace(chosen, overflow=False)
    for H_0to1 in sample_homography(size, rng(seed), chosen, count=10):
        assert valid_mask(size, H_0to1).all()


def test_with_overflow_some_views_show_the_outside() -> None:
    masks = [valid_mask(SIZE, H_0to1).all() for H_0to1 in sample_homography(SIZE, rng(), count=20)]
    assert not all(masks)


def test_without_overflow_rotation_keeps_its_distribution() -> None:
    free = draw(rotation=math.pi, translation=0.1)
    kept = draw(rotation=math.pi, translation=0.1, overflow=False)
    np.testing.assert_allclose(
        np.arctan2(kept[:, 0, 1], kept[:, 0, 0]), np.arctan2(free[:, 0, 1], free[:, 0, 0]), atol=1e-9
    )
    # Upright, 160 x 120 pixel centres fit a quarter turned frame at (120 - 1) / (160 - 1) of their size and no smaller.
    zoom = np.hypot(kept[:, 0, 0], kept[:, 0, 1])
    assert (zoom >= 1 - 1e-12).all()
    assert (zoom <= math.hypot(159, 119) / 119 + 1e-9).all()


def test_without_overflow_shifts_stop_at_the_border_without_piling_up() -> None:
    # The pixel centres of a half-size crop span 79.5 x 59.5 of the 159 x 119: room for 39.75 and 29.75 either way.
    kept = draw(translation=1.0, patch_ratio=0.5, overflow=False)
    shifts = warp_points(np.tile([79.5, 59.5], (200, 1, 1)), np.linalg.inv(kept))[:, 0] - [79.5, 59.5]
    assert (np.abs(shifts) <= [39.75 + 1e-9, 29.75 + 1e-9]).all()
    assert len(np.unique(shifts[:, 0].round(6))) == 200
    assert np.abs(shifts[:, 0]).max() > 30


def test_views_begin_with_the_identity() -> None:
    views = sample_views(SIZE, rng(3), count=4)
    assert views.shape == (4, 3, 3)
    np.testing.assert_array_equal(views[0], np.eye(3))
    np.testing.assert_array_equal(views[1:], sample_homography(SIZE, rng(3), count=3))
    np.testing.assert_array_equal(sample_views(SIZE, rng(3), count=1), np.eye(3)[None])
    with pytest.raises(ValueError, match="at least 1, got 0"):
        sample_views(SIZE, rng(), count=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"translation": -0.1}, "translation must be in .* got -0.1"),
        ({"translation": math.nan}, "translation must be in .* got nan"),
        ({"scale": 1.0}, "scale must be in .* got 1.0"),
        ({"rotation": 180}, "rotation must be in .* got 180"),
        ({"patch_ratio": 0}, "patch_ratio must be in .* got 0"),
        ({"perspective": 0.25, "patch_ratio": 0.5}, r"perspective must be in \[0, patch_ratio / 2 = 0.25\), got 0.25"),
    ],
)
def test_settings_out_of_range_are_refused(changes: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        HomographySettings(**changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("changes", [{"scale": "0.2"}, {"rotation": True}, {"overflow": 1}])
def test_settings_of_the_wrong_type_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=str(next(iter(changes)))):
        HomographySettings(**changes)


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match=r"at least 2 x 2 pixels, got \(1, 120\)"):
        sample_homography((1, 120), rng())
    with pytest.raises(TypeError, match=r"160\.5"):
        sample_homography((160.5, 120), rng())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"numpy\.random\.Generator, got RandomState"):
        sample_homography(SIZE, np.random.RandomState(0))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="got -1"):
        sample_homography(SIZE, rng(), count=-1)
    with pytest.raises(TypeError, match=r"got 2\.0"):
        sample_homography(SIZE, rng(), count=2.0)  # type: ignore[arg-type]
