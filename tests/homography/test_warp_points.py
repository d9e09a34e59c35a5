"""Points through a homography, in NumPy and torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from homography import resizing, sample_homography, warp_points

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")),
]
# The horizon of view 0 is the line x = -100; at x = 100 w is 2.
TILTED = np.array([[1, 0, 0], [0, 1, 0], [0.01, 0, 1]])


def some_homographies(count: int) -> np.ndarray:
    return sample_homography((160, 120), np.random.default_rng(0), count=count)


def some_points(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).uniform(0, 120, (*shape, 2))


@pytest.mark.parametrize(
    ("H_0to1", "expected"),
    [
        (np.eye(3), [[10, 20], [0, 0]]),
        ([[1, 0, 3], [0, 1, -2], [0, 0, 1]], [[13, 18], [3, -2]]),
        # A quarter turn from x towards y of a 31 x 31 image about its centre (15, 15), and a half turn.
        ([[0, -1, 30], [1, 0, 0], [0, 0, 1]], [[10, 10], [30, 0]]),
        ([[-1, 0, 30], [0, -1, 30], [0, 0, 1]], [[20, 10], [30, 30]]),
        # Resizing by 2 moves k to (k + 0.5) * 2 - 0.5.
        ([[2, 0, 0.5], [0, 2, 0.5], [0, 0, 1]], [[20.5, 40.5], [0.5, 0.5]]),
        # The scale of the matrix does not matter.
        ([[3, 0, 9], [0, 3, -6], [0, 0, 3]], [[13, 18], [3, -2]]),
    ],
)
def test_known_maps(H_0to1: list[list[float]], expected: list[list[float]]) -> None:
    points = np.array([[10, 20], [0, 0]], np.float32)
    H = np.array(H_0to1, np.float64)
    warped = warp_points(points, H)
    assert warped.dtype == np.float32
    np.testing.assert_array_equal(warped, np.array(expected, np.float32))
    as_tensor = warp_points(torch.from_numpy(points), torch.from_numpy(H))
    assert as_tensor.dtype == torch.float32
    np.testing.assert_array_equal(as_tensor.numpy(), warped)


@pytest.mark.parametrize("device", DEVICES)
def test_known_projective_map_with_its_horizon(device: str) -> None:
    points = np.array([[100.0, 50], [0, 7], [-50, 10], [-100, 10], [-200, 10]])
    expected = np.array([[50, 25], [0, 7], [-100, 20], [np.nan] * 2, [np.nan] * 2])
    np.testing.assert_allclose(warp_points(points, TILTED), expected)
    warped = warp_points(torch.tensor(points, device=device), torch.tensor(TILTED, device=device))
    assert warped.device.type == device
    np.testing.assert_allclose(warped.cpu().numpy(), expected)


def test_there_and_back() -> None:
    H_0to1 = some_homographies(8)
    # Points that view 1 shows, so none is behind the horizon.
    points1 = some_points(8, 30)
    points0 = warp_points(points1, np.linalg.inv(H_0to1))
    np.testing.assert_allclose(warp_points(points0, H_0to1), points1, atol=1e-9)


@pytest.mark.parametrize("device", DEVICES)
def test_batched_equals_single_and_torch_equals_numpy(device: str) -> None:
    H_0to1, points = some_homographies(5), some_points(5, 20)
    batched = warp_points(points, H_0to1)
    tensors = warp_points(torch.tensor(points, device=device), torch.tensor(H_0to1, device=device))
    np.testing.assert_allclose(tensors.cpu().numpy(), batched, atol=1e-9)
    for i in range(5):
        np.testing.assert_allclose(warp_points(points[i], H_0to1[i]), batched[i], atol=1e-9)


def test_no_points_are_ordinary() -> None:
    assert warp_points(np.zeros((0, 2), np.float32), np.eye(3)).shape == (0, 2)
    assert warp_points(np.zeros((3, 0, 2), np.float32), np.tile(np.eye(3), (3, 1, 1))).shape == (3, 0, 2)
    assert warp_points(torch.zeros(0, 2), torch.eye(3)).shape == (0, 2)


def test_float32_points_are_mapped_in_float64() -> None:
    points = some_points(200).astype(np.float32) * 30
    H_0to1 = some_homographies(1)[0]
    exact = warp_points(points.astype(np.float64), H_0to1)
    seen = np.isfinite(exact)
    np.testing.assert_array_equal(warp_points(points, H_0to1)[seen], exact.astype(np.float32)[seen])


@pytest.mark.parametrize("device", DEVICES)
def test_gradients(device: str) -> None:
    points = torch.tensor(some_points(2, 4), device=device, requires_grad=True)
    H_0to1 = torch.tensor(some_homographies(2), device=device, requires_grad=True)
    assert torch.autograd.gradcheck(warp_points, (points, H_0to1))


def test_unseen_points_have_no_gradient() -> None:
    points = torch.tensor([[-100.0, 5], [-200, 5], [100, 5]], requires_grad=True)
    H_0to1 = torch.tensor(TILTED, requires_grad=True)
    by_points, by_H = torch.autograd.grad(warp_points(points, H_0to1)[2].sum(), (points, H_0to1))
    np.testing.assert_array_equal(by_points[:2].numpy(), 0)
    # At (100, 5), x' = x / w and y' = y / w with w = 2: d(x' + y')/dx = 1 / w - (x + y) / w^2 * 0.01.
    np.testing.assert_allclose(by_points[2].numpy(), [0.5 - 105 / 4 * 0.01, 0.5])
    assert torch.isfinite(by_H).all()


def test_wrong_shapes_are_named() -> None:
    eye = np.eye(3)
    with pytest.raises(ValueError, match=r"points must have the shape .* got \(4, 3\)"):
        warp_points(np.zeros((4, 3)), eye)
    with pytest.raises(ValueError, match=r"points must have the shape .* got \(2,\)"):
        warp_points(np.zeros(2), eye)
    with pytest.raises(ValueError, match=r"H_0to1 must have the shape \(3, 3\), got \(1, 3, 3\)"):
        warp_points(np.zeros((4, 2)), eye[None])
    with pytest.raises(ValueError, match=r"H_0to1 must have the shape \(B, 3, 3\), got \(3, 3\)"):
        warp_points(torch.zeros(1, 4, 2), torch.eye(3))
    with pytest.raises(ValueError, match=r"2 sets of points do not fit H_0to1 of the shape \(1, 3, 3\)"):
        warp_points(np.zeros((2, 4, 2)), eye[None])


def test_wrong_kinds_are_named() -> None:
    with pytest.raises(TypeError, match="two arrays or two tensors"):
        warp_points(np.zeros((4, 2)), torch.eye(3))  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="points must be of a float dtype, got int64"):
        warp_points(np.zeros((4, 2), np.int64), np.eye(3))
    with pytest.raises(TypeError, match=r"points must be of a float dtype, got torch\.int64"):
        warp_points(torch.zeros(4, 2, dtype=torch.int64), torch.eye(3))
    with pytest.raises(TypeError, match=r"points must be a NumPy array or a torch tensor, got <class 'list'>"):
        warp_points([[1.0, 2.0]], np.eye(3))  # type: ignore[call-overload]
    with pytest.raises(ValueError, match=r"H_0to1 must be finite, got .*nan"):
        warp_points(np.zeros((4, 2)), np.full((3, 3), np.nan))


def test_resizing_moves_pixel_centres_and_keeps_the_corner_of_the_first_pixel() -> None:
    points = np.array([[-0.5, -0.5], [0.0, 0.0], [99.5, 49.5], [10.0, 20.0]])
    halved = warp_points(points, resizing((100, 50), (50, 25)))
    np.testing.assert_allclose(halved, [[-0.5, -0.5], [-0.25, -0.25], [49.5, 24.5], [4.75, 9.75]])
    np.testing.assert_allclose(warp_points(points, resizing((10, 10), (20, 30)))[3], [20.5, 61.0])
