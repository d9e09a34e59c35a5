"""Images through a homography: exact cases, and agreement with the points to 0.01 px in every implementation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from homography import sample_homography, valid_mask, warp, warp_image, warp_points

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
# "unaided" goes without OpenCV, as happens where OpenCV rounds positions (all of OpenCV 4).
BACKENDS = ["numpy", "unaided", "cpu", pytest.param("cuda", marks=needs_cuda)]
Array = NDArray[Any]


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "unaided":
        monkeypatch.setattr(warp, "_opencv_is_exact", lambda dtype, channels: False)
    return str(request.param)


def render(backend: str, image: Array, H_0to1: Array, **options: Any) -> Array:
    """Warp a NumPy (H, W) or (H, W, C) image with any of the implementations; tensors in float32."""
    if backend in ("numpy", "unaided"):
        return warp_image(image, H_0to1, **options)
    planes = torch.from_numpy(np.atleast_3d(image).astype(np.float32)).permute(2, 0, 1)[None].to(backend)
    warped = warp_image(planes, torch.from_numpy(H_0to1)[None].to(backend), **options)
    assert warped.device.type == backend
    result: Array = warped[0].permute(1, 2, 0).reshape(*warped.shape[2:], *image.shape[2:]).cpu().numpy()
    return result


def noise(width: int, height: int, channels: int = 0, seed: int = 0) -> NDArray[np.uint8]:
    shape = (height, width, channels) if channels else (height, width)
    return np.random.default_rng(seed).integers(0, 256, size=shape, dtype=np.uint8)


def about(point0: tuple[float, float], point1: tuple[float, float], angle: float, scale: float) -> Array:
    """Similarity that takes point0 to point1, turns from x towards y and enlarges."""
    cos, sin = scale * np.cos(np.deg2rad(angle)), scale * np.sin(np.deg2rad(angle))
    to_origin = np.array([[1, 0, -point0[0]], [0, 1, -point0[1]], [0, 0, 1]])
    turn: Array = np.array([[cos, -sin, point1[0]], [sin, cos, point1[1]], [0, 0, 1]])
    H_0to1: Array = turn @ to_origin
    return H_0to1


@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("channels", [0, 3])
def test_exact_cases(backend: str, mode: str, dtype: type, channels: int) -> None:
    image: Array = noise(31, 31, channels).astype(dtype)
    for H_0to1, expected in [
        (np.eye(3), image),
        (about((15, 15), (15, 15), 90, 1), np.rot90(image, -1)),
        (about((15, 15), (15, 15), 180, 1), image[::-1, ::-1]),
        (np.array([[-1.0, 0, 30], [0, 1, 0], [0, 0, 1]]), image[:, ::-1]),
    ]:
        np.testing.assert_allclose(render(backend, image, H_0to1, mode=mode), expected, atol=2e-3)


def test_integer_shift_with_fill(backend: str) -> None:
    image = noise(20, 10)
    shifted = render(backend, image, np.array([[1.0, 0, 3], [0, 1, -2], [0, 0, 1]]), fill=9)
    np.testing.assert_allclose(shifted[:8, 3:], image[2:, :17], atol=1e-3)
    np.testing.assert_allclose(shifted[8:], 9, atol=1e-3)
    np.testing.assert_allclose(shifted[:, :3], 9, atol=1e-3)


def test_half_pixel_shift_averages_and_blends_with_the_fill(backend: str) -> None:
    image = np.array([[10, 20, 40]] * 3, np.float32)
    shifted = render(backend, image, np.array([[1, 0, 0.5], [0, 1, 0], [0, 0, 1]]), size=(4, 3), fill=2)
    np.testing.assert_allclose(shifted, [[6, 15, 30, 21]] * 3, atol=1e-4)


def test_quarter_turn_into_a_frame_of_another_size(backend: str) -> None:
    image = noise(20, 10)
    # Clockwise: (x, y) goes to (9 - y, x), a frame of 10 x 20.
    turned = render(backend, image, np.array([[0, -1.0, 9], [1, 0, 0], [0, 0, 1]]), size=(10, 20))
    assert turned.shape == (20, 10)
    np.testing.assert_allclose(turned, np.rot90(image, -1), atol=1e-3)


def test_nearest_repeats_pixels(backend: str) -> None:
    image = noise(7, 5)
    enlarged = render(backend, image, np.array([[3.0, 0, 1], [0, 3, 1], [0, 0, 1]]), size=(21, 15), mode="nearest")
    np.testing.assert_array_equal(enlarged, np.kron(image, np.ones((3, 3), np.uint8)))


def dot(x: float, y: float, sigma: float) -> Array:
    v, u = np.indices((80, 96))
    result: Array = 255 * np.exp(-((u - x) ** 2 + (v - y) ** 2) / (2 * sigma**2))
    return result.astype(np.float32)


def centroid(image: Array) -> Array:
    weight = image.astype(np.float64)
    v, u = np.indices(weight.shape)
    return np.array([np.average(u, weights=weight), np.average(v, weights=weight)])


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
@pytest.mark.parametrize("scale", [0.5, 1, 2])
@pytest.mark.parametrize("angle", [0, 45, 90, 180])
def test_a_dot_goes_where_its_point_goes(backend: str, angle: float, scale: float, dtype: type) -> None:
    # A dot of 3 pixels is 1.5 wide in the view of half size: still smooth enough for its sampled centroid to be exact.
    point = np.array([[44.3, 38.8]])
    image = dot(44.3, 38.8, sigma=3)
    image = np.rint(image).astype(np.uint8) if dtype == np.uint8 else image
    H_0to1 = about((47.5, 39.5), (99.71, 101.37), angle, scale)
    warped = render(backend, image, H_0to1, size=(200, 200))
    # Rounding moves the centroid of the uint8 dot before any warp: compare with where that one goes.
    source = centroid(image)[None]
    assert np.abs(source - point).max() < 0.01
    assert np.abs(centroid(warped) - warp_points(source, H_0to1)[0]).max() < 0.01


@pytest.mark.parametrize("tilt", [(1.2e-4, 0), (0, -1.2e-4), (8e-5, 8e-5)])
def test_a_dot_goes_where_its_point_goes_in_perspective(backend: str, tilt: tuple[float, float]) -> None:
    # Perspective takes the centroid of a dot of width s off its centre's image by 4 s^2 |tilt| times the scale: once by
    # the map's curvature, three times by the area that grows. Here that is 4 * 3^2 * 1.2e-4 * 1.2 = 0.005 px. A smaller
    # dot would not be smooth enough; the next test takes any perspective.
    point = np.array([[44.3, 38.8]])
    H_0to1 = about((0, 0), (3.3, 5.9), 0, 1.2) @ np.array([[1, 0, 0], [0, 1, 0], [*tilt, 1]])
    warped = render(backend, dot(44.3, 38.8, sigma=3), H_0to1, size=(120, 120))
    assert np.abs(centroid(warped) - warp_points(point, H_0to1)[0]).max() < 0.01


def test_every_pixel_comes_from_where_its_point_comes_from(backend: str) -> None:
    # The image holds each pixel's own position, which bilinear interpolation reproduces exactly in between; so the
    # result holds the source of each pixel of view 1, under the strongest perspective too.
    width, height = 160, 120
    v, u = np.indices((height, width), np.float32)
    pixels = np.stack([u, v], axis=-1).reshape(-1, 2).astype(np.float64)
    for H_0to1 in sample_homography((width, height), np.random.default_rng(5), count=10):
        source = render(backend, np.dstack([u, v, u]), H_0to1)[..., :2].reshape(-1, 2).astype(np.float64)
        # A hair outside the image, which the mask tolerates, the interpolation would read the fill: erode by a pixel.
        valid = valid_mask((width, height), H_0to1, erosion=1).ravel()
        assert valid.sum() > 1000
        assert np.abs(source - warp_points(pixels, np.linalg.inv(H_0to1)))[valid].max() < 0.01
        assert np.abs(warp_points(source[valid], H_0to1) - pixels[valid]).max() < 0.01


def test_nothing_is_mirrored_behind_the_horizon(backend: str) -> None:
    image = np.full((40, 60), 200, np.uint8)
    # View 1 looks at w = 1 - x / 30 of its own pixels: from x = 30 on it sees the sky.
    H_0to1 = np.linalg.inv(np.array([[1, 0, 0], [0, 1, 0], [-1 / 30, 0, 1]]))
    for mode in ("bilinear", "nearest"):
        warped = render(backend, image, H_0to1, mode=mode, fill=5)
        np.testing.assert_array_equal(warped[:, 30:], np.full((40, 30), 5))
        assert (warped[0, :20] > 199.9).all()


def test_implementations_agree(backend: str) -> None:
    image = noise(80, 60, channels=3).astype(np.float32)
    for H_0to1 in sample_homography((80, 60), np.random.default_rng(2), count=5):
        np.testing.assert_allclose(
            render(backend, image, H_0to1, fill=50), render("numpy", image, H_0to1, fill=50), atol=0.05
        )


@pytest.mark.parametrize("channels", [1, 2, 4, 5])
@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_any_number_of_channels(channels: int, mode: Any) -> None:
    image = noise(40, 30, channels)
    H_0to1 = sample_homography((40, 30), np.random.default_rng(0))
    warped = warp_image(image, H_0to1, mode=mode, fill=7)
    assert warped.shape == image.shape
    assert warped.dtype == np.uint8
    for channel in range(channels):
        single = warp_image(image[..., channel], H_0to1, mode=mode, fill=7)
        # The two interpolations may round a half differently.
        assert np.abs(warped[..., channel].astype(int) - single).max() <= (mode == "bilinear")


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=needs_cuda)])
def test_batched_equals_single(device: str) -> None:
    images = torch.rand(4, 2, 30, 40, generator=torch.Generator().manual_seed(0)).to(device)
    H_0to1 = torch.from_numpy(sample_homography((40, 30), np.random.default_rng(0), count=4)).to(device)
    batched = warp_image(images, H_0to1, size=(20, 25))
    assert batched.shape == (4, 2, 25, 20)
    for i in range(4):
        torch.testing.assert_close(warp_image(images[i : i + 1], H_0to1[i : i + 1], size=(20, 25))[0], batched[i])


def test_half_precision_images_keep_their_dtype() -> None:
    image = torch.rand(1, 1, 30, 40, generator=torch.Generator().manual_seed(0))
    H_0to1 = torch.from_numpy(sample_homography((40, 30), np.random.default_rng(0)))[None]
    warped = warp_image(image.bfloat16(), H_0to1)
    assert warped.dtype == torch.bfloat16
    torch.testing.assert_close(warped.float(), warp_image(image, H_0to1), atol=0.01, rtol=0)


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=needs_cuda)])
def test_gradients(device: str) -> None:
    image = torch.rand(2, 1, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).to(device)
    H_0to1 = torch.from_numpy(sample_homography((6, 5), np.random.default_rng(1), count=2)).to(device)

    def warped(image: torch.Tensor, H_0to1: torch.Tensor) -> torch.Tensor:
        return warp_image(image, H_0to1, size=(4, 3), fill=0.3)

    assert torch.autograd.gradcheck(warped, (image.requires_grad_(), H_0to1.requires_grad_()))


def test_strided_images_are_read_as_they_look() -> None:
    image = noise(41, 30)
    np.testing.assert_array_equal(warp_image(image[:, ::-1], np.eye(3)), image[:, ::-1])
    np.testing.assert_array_equal(warp_image(image.T, np.eye(3)), image.T)


def test_wrong_shapes_are_named() -> None:
    with pytest.raises(ValueError, match=r"image must have the shape .* got \(1, 1, 8, 8\)"):
        warp_image(np.zeros((1, 1, 8, 8), np.uint8), np.eye(3))
    with pytest.raises(ValueError, match=r"image must have the shape .* got \(0, 8\)"):
        warp_image(np.zeros((0, 8), np.uint8), np.eye(3))
    with pytest.raises(ValueError, match=r"H_0to1 must have the shape \(3, 3\), got \(1, 3, 3\)"):
        warp_image(np.zeros((8, 8), np.uint8), np.eye(3)[None])
    with pytest.raises(ValueError, match=r"image must have the shape \(B, C, H, W\).* got \(8, 8\)"):
        warp_image(torch.zeros(8, 8), torch.eye(3)[None])
    with pytest.raises(ValueError, match=r"H_0to1 must have the shape \(B, 3, 3\), got \(3, 3\)"):
        warp_image(torch.zeros(1, 1, 8, 8), torch.eye(3))
    with pytest.raises(ValueError, match=r"2 images do not fit H_0to1 of the shape \(1, 3, 3\)"):
        warp_image(torch.zeros(2, 1, 8, 8), torch.eye(3)[None])
    with pytest.raises(ValueError, match=r"size must be at least 1 x 1 pixels, got \(0, 8\)"):
        warp_image(np.zeros((8, 8), np.uint8), np.eye(3), size=(0, 8))


def test_wrong_kinds_and_values_are_named() -> None:
    image = np.zeros((8, 8), np.uint8)
    with pytest.raises(TypeError, match="uint8 or float32, got float64"):
        warp_image(image.astype(np.float64), np.eye(3))
    with pytest.raises(TypeError, match=r"image must be of a float dtype, got torch\.uint8"):
        warp_image(torch.zeros(1, 1, 8, 8, dtype=torch.uint8), torch.eye(3)[None])
    with pytest.raises(TypeError, match="two arrays or two tensors"):
        warp_image(image, torch.eye(3))  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="got 'bicubic'"):
        warp_image(image, np.eye(3), mode="bicubic")  # type: ignore[call-overload]
    with pytest.raises(ValueError, match=r"fill must be .* got 300"):
        warp_image(image, np.eye(3), fill=300)
    with pytest.raises(ValueError, match="cannot be inverted"):
        warp_image(image, np.zeros((3, 3)))
    with pytest.raises(ValueError, match="cannot be inverted"):
        warp_image(torch.zeros(1, 1, 8, 8), torch.zeros(1, 3, 3))
