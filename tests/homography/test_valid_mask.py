"""Valid-region masks: cases on paper, and the definition spelt out pixel by pixel."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from homography import HomographySettings, sample_homography, valid_mask

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")),
]
STRONG = HomographySettings(translation=0.5, scale=0.5, rotation=math.pi, perspective=0.35, patch_ratio=1)


def by_definition(
    image_size: tuple[int, int], H_0to1: NDArray[Any], size: tuple[int, int], erosion: int
) -> NDArray[np.bool_]:
    """The documented definition, one pixel and one neighbour at a time."""
    H_1to0 = np.linalg.inv(H_0to1).tolist()

    def shows_the_image(u: int, v: int) -> bool:
        if not (0 <= u < size[0] and 0 <= v < size[1]):
            return False
        x, y, w = (row[0] * u + row[1] * v + row[2] for row in H_1to0)
        if w <= 0:
            return False
        right, bottom = image_size[0] - 1 + 1e-4, image_size[1] - 1 + 1e-4
        return bool(-1e-4 <= x / w <= right and -1e-4 <= y / w <= bottom)

    mask = np.zeros((size[1], size[0]), bool)
    around = range(-erosion, erosion + 1)
    for v in range(size[1]):
        for u in range(size[0]):
            mask[v, u] = all(shows_the_image(u + i, v + j) for i in around for j in around)
    return mask


def as_tensors(image_size: tuple[int, int], H_0to1: NDArray[Any], device: str = "cpu", **options: Any) -> NDArray[Any]:
    mask = valid_mask(image_size, torch.tensor(H_0to1, device=device), **options)
    assert mask.dtype == torch.bool
    assert mask.device.type == device
    return mask.cpu().numpy()


@pytest.mark.parametrize("angle", [0, 90, 180, 270])
def test_whole_turns_about_the_centre_lose_nothing(angle: float) -> None:
    # Cosines from degrees carry rounding errors of 1e-16, which must not cost the border.
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    width, height = (21, 13) if angle % 180 == 0 else (13, 21)
    H_0to1 = np.array([[1, 0, (width - 1) / 2], [0, 1, (height - 1) / 2], [0, 0, 1]]) @ (
        np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]) @ np.array([[1, 0, -10], [0, 1, -6], [0, 0, 1]])
    )
    assert valid_mask((21, 13), H_0to1, size=(width, height)).all()
    assert as_tensors((21, 13), H_0to1[None], size=(width, height)).all()


def test_integer_shift_is_exact() -> None:
    shift = np.array([[1.0, 0, 3], [0, 1, -2], [0, 0, 1]])
    expected = np.zeros((10, 20), bool)
    expected[:8, 3:] = True
    np.testing.assert_array_equal(valid_mask((20, 10), shift), expected)
    np.testing.assert_array_equal(as_tensors((20, 10), shift[None])[0, 0], expected)


def test_enlarging_leaves_out_the_pixels_between_the_outermost_centres_and_the_frame() -> None:
    # Resizing 4 x 3 by 2: pixel 0 of view 1 lies at (0 + 0.5) / 2 - 0.5 = -0.25, pixel 1 at 0.25.
    H_0to1 = np.array([[2, 0, 0.5], [0, 2, 0.5], [0, 0, 1]])
    expected = np.zeros((6, 8), bool)
    expected[1:-1, 1:-1] = True
    np.testing.assert_array_equal(valid_mask((4, 3), H_0to1, size=(8, 6)), expected)


def test_the_tolerance_is_a_ten_thousandth_of_a_pixel() -> None:
    within, beyond = np.eye(3), np.eye(3)
    within[0, 2], beyond[0, 2] = 0.9e-4, 1.1e-4
    assert valid_mask((8, 6), within).all()
    assert not valid_mask((8, 6), beyond)[:, 0].any()
    assert as_tensors((8, 6), within[None]).all()
    assert not as_tensors((8, 6), beyond[None])[..., 0].any()


def test_erosion_takes_a_ring_from_the_frame_and_from_the_image() -> None:
    expected = np.zeros((10, 20), bool)
    expected[3:-3, 3:-3] = True
    np.testing.assert_array_equal(valid_mask((20, 10), np.eye(3), erosion=3), expected)
    shift = np.array([[1.0, 0, 5], [0, 1, 0], [0, 0, 1]])
    expected[:, :8] = False
    np.testing.assert_array_equal(valid_mask((20, 10), shift, erosion=3), expected)
    assert not valid_mask((20, 10), np.eye(3), erosion=5).any()
    assert not valid_mask((20, 10), np.eye(3), erosion=50).any()
    assert not as_tensors((20, 10), np.eye(3)[None], erosion=50).any()


def test_behind_the_horizon_nothing_is_valid() -> None:
    # w = 1 - u / 6 on view 1: from u = 6 on there is only sky, and at u = 5 the source is at x = 30.
    H_0to1 = np.linalg.inv(np.array([[1, 0, 0], [0, 1, 0], [-1 / 6, 0, 1]]))
    mask = valid_mask((31, 20), H_0to1, size=(20, 1))
    np.testing.assert_array_equal(mask[0], np.arange(20) < 6)
    np.testing.assert_array_equal(as_tensors((31, 20), H_0to1[None], size=(20, 1))[0, 0], mask)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    image_size=st.tuples(st.integers(2, 14), st.integers(2, 14)),
    size=st.tuples(st.integers(1, 14), st.integers(1, 14)),
    erosion=st.integers(0, 2),
    wild=st.booleans(),
)
def test_both_kinds_follow_the_definition(
    seed: int, image_size: tuple[int, int], size: tuple[int, int], erosion: int, wild: bool
) -> None:
    generator = np.random.default_rng(seed)
    H_0to1 = sample_homography(image_size, generator, STRONG)
    if wild:  # Any matrix will do, with a horizon across the frame, a mirror image or nothing to see.
        H_0to1 = generator.normal(size=(3, 3)) * [[1, 1, 5], [1, 1, 5], [0.1, 0.1, 1]]
    expected = by_definition(image_size, H_0to1, size, erosion)
    np.testing.assert_array_equal(valid_mask(image_size, H_0to1, size, erosion), expected)
    np.testing.assert_array_equal(as_tensors(image_size, H_0to1[None], size=size, erosion=erosion)[0, 0], expected)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("erosion", [0, 3])
def test_batched_equals_single_and_torch_equals_numpy(device: str, erosion: int) -> None:
    H_0to1 = sample_homography((160, 120), np.random.default_rng(0), count=6)
    masks = as_tensors((160, 120), H_0to1, device, erosion=erosion)
    assert masks.shape == (6, 1, 120, 160)
    assert 0.3 < masks.mean() < 1
    for mask, H in zip(masks, H_0to1, strict=True):
        np.testing.assert_array_equal(valid_mask((160, 120), H, erosion=erosion), mask[0])


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match=r"H_0to1 must have the shape \(3, 3\), got \(2, 3, 3\)"):
        valid_mask((8, 6), np.zeros((2, 3, 3)))
    with pytest.raises(ValueError, match=r"H_0to1 must have the shape \(B, 3, 3\), got \(3, 3\)"):
        valid_mask((8, 6), torch.eye(3))
    with pytest.raises(ValueError, match=r"image_size must be at least 1 x 1 pixels, got \(0, 6\)"):
        valid_mask((0, 6), np.eye(3))
    with pytest.raises(TypeError, match=r"size must be two integers \(W, H\), got \(8, 6, 1\)"):
        valid_mask((8, 6), np.eye(3), size=(8, 6, 1))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="erosion must not be negative, got -1"):
        valid_mask((8, 6), np.eye(3), erosion=-1)
    with pytest.raises(TypeError, match=r"erosion must be a whole number of pixels, got 1\.5"):
        valid_mask((8, 6), np.eye(3), erosion=1.5)  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="cannot be inverted"):
        valid_mask((8, 6), np.zeros((3, 3)))
