"""Adaptation with detectors whose heatmaps are known: counts by brute force, corners where they were drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from homography import HomographySettings, adapt, adaptation, sample_views, valid_mask, warp_points
from magicpoint.decoding.decode import decode
from magicpoint.decoding.settings import DecodeSettings
from magicpoint.inference.extractor import Extractor
from magicpoint.training.targets import draw_keypoint_map
from synthetic_shapes import render_shape

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
HeatmapFunction = Callable[[Tensor], Tensor]


@pytest.fixture(params=["opencv", "torch", pytest.param("cuda", marks=needs_cuda)])
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where the image lies. On the CPU torch warps where OpenCV rounds positions, as all of OpenCV 4 does."""
    if request.param == "torch":
        monkeypatch.setattr(adaptation, "_opencv_is_exact", lambda dtype, channels: False)
    return "cuda" if request.param == "cuda" else "cpu"


def views_of(image: Tensor, count: int, seed: int = 0, **settings: Any) -> NDArray[np.float64]:
    size = (image.shape[1], image.shape[0])
    return sample_views(size, np.random.default_rng(seed), HomographySettings(**settings), count=count)


def noise(height: int, width: int, seed: int = 0) -> Tensor:
    return torch.rand(height, width, generator=torch.Generator().manual_seed(seed))


def grey_level(views: Tensor) -> Tensor:
    """A detector that is certain of what is bright."""
    return views[:, 0]


def corner_detector(corners: NDArray[np.floating], homographies: NDArray[np.floating]) -> HeatmapFunction:
    """What a perfect detector gives for the views, in their order: a sampled Gaussian of sigma 0.6 at each corner."""
    left: Iterator[NDArray[np.floating]] = iter(homographies)

    def heatmap(views: Tensor) -> Tensor:
        points = [torch.from_numpy(warp_points(corners.astype(np.float64), next(left))) for _ in views]
        return draw_keypoint_map(points, (views.shape[2], views.shape[3]), sigma=0.6)[:, 0].to(views.device)

    return heatmap


def corners_apart(shape: str, seed: int, border: int = 8, distance: float = 9.0) -> tuple[Tensor, NDArray[np.float32]]:
    """A render in [0, 1] and its corners, but those of which suppression cannot tell one from its neighbour."""
    image, corners = render_shape(shape, (120, 160), np.random.default_rng(seed))
    inside = ((corners >= border) & (corners <= [159 - border, 119 - border])).all(axis=1)
    between = np.linalg.norm(corners[:, None] - corners, axis=2) + np.diag(np.full(len(corners), np.inf))
    return torch.from_numpy(image).float() / 255, corners[inside & (between.min(axis=1, initial=np.inf) > distance)]


def peaks_of(heatmap: Tensor, threshold: float = 0.015) -> NDArray[np.floating]:
    [(keypoints, _)] = decode(heatmap[None].cpu(), DecodeSettings(threshold=threshold, border=0))
    return keypoints.numpy()


def assert_one_peak_at_each(corners: NDArray[np.floating], peaks: NDArray[np.floating], tolerance: float) -> None:
    assert len(peaks) == len(corners)
    distances = np.linalg.norm(corners[:, None] - peaks, axis=2)
    assert ((distances <= tolerance).sum(axis=1) == 1).all()
    assert ((distances <= tolerance).sum(axis=0) == 1).all()


@pytest.mark.parametrize("aggregation", ["mean", "max"])
def test_each_corner_of_a_render_gives_one_peak_in_its_place(device: str, aggregation: Any) -> None:
    total = 0
    for seed, shape in enumerate(["checkerboard", "polygon", "star", "cube"]):
        image, corners = corners_apart(shape, seed)
        homographies = views_of(image, 25, seed)
        detector = corner_detector(corners, homographies)
        adapted = adapt(detector, image.to(device), homographies, aggregation=aggregation)
        assert_one_peak_at_each(corners, peaks_of(adapted.heatmap), 0.2 if aggregation == "mean" else 0.5)
        total += len(corners)
    assert total >= 20


def test_trained_weights_find_the_corners_of_a_checkerboard() -> None:
    try:
        extractor = Extractor.from_pretrained("magicpoint", device="cpu")
    except ValueError:
        pytest.skip("no weights are shipped")
    from magicpoint.adaptation.labeller import Labeller

    image, corners = corners_apart("checkerboard", 0)
    adapted = adapt(Labeller(extractor).heatmap, image, views_of(image, 20))
    distances = np.linalg.norm(corners[:, None] - peaks_of(adapted.heatmap), axis=2)
    assert ((distances <= 1.0).sum(axis=1) == 1).mean() > 0.8


def test_what_is_found_in_every_view_stays_as_it_is(device: str) -> None:
    """The detector squares the grey level f = 1/2 + (sin(x / L) + sin(y / L)) / 4, which commutes with every warp.

    Bilinear interpolation is off by at most (|f_uu| + |f_vv|) / 8 for one pixel between samples. For f that is
    1 / (16 L²), and twice that after squaring, since f is at most 1. The second interpolation is that of f² in the
    view, whose second derivative in any direction is at most 2 (|grad f|² + f |f''|) s² = 3/4 s² / L², the view's pixel
    being at most s image pixels long: 3/16 s² / L².
    """
    length = 10.0
    y, x = torch.meshgrid(torch.arange(90.0), torch.arange(120.0), indexing="ij")
    image = 0.5 + 0.25 * ((x / length).sin() + (y / length).sin())
    longest = 0.85 * 1.2  # patch ratio and scale of affine views
    homographies = views_of(image, 30, perspective=0.0)
    single = image**2
    adapted = adapt(lambda views: grey_level(views) ** 2, image.to(device), homographies)
    error = (adapted.heatmap.cpu() - single)[adapted.valid_mask.cpu()].abs()
    assert float(error.max()) <= (1 / 8 + 3 / 16 * longest**2) / length**2 + 1e-5
    assert float(adapted.valid_mask.float().mean()) > 0.85


def count_by_hand(size: tuple[int, int], homographies: NDArray[np.float64], erosion: int) -> NDArray[np.int64]:
    """For each pixel of the image, the views in which all pixels around its place are trusted, one at a time."""
    width, height = size
    counts = np.zeros((height, width), np.int64)
    for H in homographies:
        back = np.linalg.inv(H)

        def trusted(u: int, v: int, back: NDArray[np.float64] = back) -> bool:
            for du in range(-erosion, erosion + 1):
                for dv in range(-erosion, erosion + 1):
                    if not (0 <= u + du < width and 0 <= v + dv < height):
                        return False
                    x, y, w = back @ [u + du, v + dv, 1]
                    if w <= 0 or not (-1e-4 <= x / w <= width - 1 + 1e-4 and -1e-4 <= y / w <= height - 1 + 1e-4):
                        return False
            return True

        for y in range(height):
            for x in range(width):
                u, v, w = H @ [x, y, 1]
                if w <= 0:
                    continue
                left, top = int(np.floor(u / w)), int(np.floor(v / w))
                a, b = u / w - left, v / w - top
                weights = [(0, 0, (1 - a) * (1 - b)), (1, 0, a * (1 - b)), (0, 1, (1 - a) * b), (1, 1, a * b)]
                counts[y, x] += sum(weight for i, j, weight in weights if trusted(left + i, top + j)) >= 1 - 1e-3
    return counts


@pytest.mark.parametrize("erosion", [0, 2])
def test_counts_and_mask_equal_those_by_hand(device: str, erosion: int) -> None:
    image = noise(16, 21)
    homographies = views_of(image, 5)
    adapted = adapt(grey_level, image.to(device), homographies, erosion=erosion)
    expected = count_by_hand((21, 16), homographies, erosion)
    assert np.array_equal(adapted.counts.cpu().numpy(), expected)
    assert torch.equal(adapted.valid_mask, adapted.counts > 0)
    assert adapted.view_count == 5
    if erosion:
        assert not adapted.valid_mask.all()
        assert (adapted.heatmap[~adapted.valid_mask] == 0).all()


def test_aggregates_are_those_of_the_single_views(device: str) -> None:
    image = noise(24, 32).to(device)
    homographies = views_of(image, 6)
    alone = [adapt(grey_level, image, H[None]) for H in homographies]
    values = torch.stack([view.heatmap for view in alone])
    seen = torch.stack([view.valid_mask for view in alone])
    mean, total, largest = (
        adapt(grey_level, image, homographies, aggregation=aggregation) for aggregation in ("mean", "sum", "max")
    )
    assert torch.equal(total.counts, seen.sum(dim=0))
    assert torch.allclose(total.heatmap, values.sum(dim=0), atol=1e-6)
    assert torch.allclose(mean.heatmap * mean.counts, total.heatmap, atol=1e-6)
    assert torch.equal(largest.heatmap, values.amax(dim=0))
    assert (mean.heatmap <= largest.heatmap + 1e-6).all()


def test_the_largest_of_negative_values_is_negative_where_seen_and_zero_elsewhere() -> None:
    adapted = adapt(lambda views: -1 - grey_level(views), noise(24, 32), np.eye(3)[None], aggregation="max")
    assert (adapted.heatmap[adapted.valid_mask] < -0.9).all()
    assert (adapted.heatmap[~adapted.valid_mask] == 0).all()


@pytest.mark.parametrize("aggregation", ["mean", "sum", "max"])
def test_what_no_view_sees_is_empty(device: str, aggregation: Any) -> None:
    away = np.array([[1, 0, 1000], [0, 1, 0], [0, 0, 1]], np.float64)
    half = np.array([[1, 0, 16], [0, 1, 0], [0, 0, 1]], np.float64)
    image = noise(24, 32).to(device)
    nothing = adapt(grey_level, image, away[None], aggregation=aggregation)
    assert not nothing.valid_mask.any()
    assert (nothing.heatmap == 0).all()
    part = adapt(grey_level, image, np.stack([away, half]), aggregation=aggregation, erosion=0)
    assert (part.counts.cpu() == (torch.arange(32) < 16)).all()
    assert (part.heatmap[:, 16:] == 0).all()
    assert torch.allclose(part.heatmap[:, :16], image[:, :16], atol=1e-4)


def test_the_size_of_the_chunks_does_not_matter() -> None:
    image = noise(24, 32)
    homographies = views_of(image, 11)
    sizes: list[int] = []

    def heatmap(views: Tensor) -> Tensor:
        sizes.append(len(views))
        return grey_level(views)

    results = [adapt(heatmap, image, homographies, chunk_size=size) for size in (1, 4, 100)]
    assert sizes == [1] * 11 + [4, 4, 3] + [11]
    for other in results[1:]:
        assert torch.equal(other.heatmap, results[0].heatmap)
        assert torch.equal(other.counts, results[0].counts)


@pytest.mark.parametrize("aggregation", ["mean", "sum", "max"])
def test_the_identity_alone_gives_the_plain_heatmap(device: str, aggregation: Any) -> None:
    image = noise(24, 32)
    adapted = adapt(grey_level, image.to(device), np.eye(3)[None], aggregation=aggregation, erosion=3)
    inside = torch.from_numpy(valid_mask((32, 24), np.eye(3), erosion=3))
    assert torch.equal(adapted.valid_mask.cpu(), inside)
    # OpenCV is exact here; torch's positions are rounded to float32, 2e-6 px at 32, and noise rises by up to 1 a pixel.
    assert torch.allclose(adapted.heatmap.cpu(), image.where(inside, 0.0), rtol=0.0, atol=1e-5)


@pytest.mark.parametrize("chunk_size", [1, 7, 100])
def test_it_stops_when_the_mean_has_converged(chunk_size: int) -> None:
    image = noise(24, 32)
    still = np.repeat(np.eye(3)[None], 50, axis=0)
    # With the values 1, 0, 0, ... the means of 10, 20 and 30 views are 1/10, 1/20 and 1/30: moves of 1/20 and 1/60.
    values = iter([1.0] + [0.0] * 49)

    def heatmap(views: Tensor) -> Tensor:
        return torch.stack([torch.full_like(view[0], next(values)) for view in views])

    adapted = adapt(heatmap, image, still, chunk_size=chunk_size, tolerance=0.02)
    assert adapted.view_count == 30
    assert int(adapted.counts.max()) == 30
    assert torch.allclose(adapted.heatmap[adapted.valid_mask], torch.tensor(1 / 30))
    assert adapt(grey_level, image, still, chunk_size=chunk_size, tolerance=1e-6).view_count == 20
    assert adapt(grey_level, image, still, chunk_size=chunk_size).view_count == 50
    assert adapt(grey_level, image, still[:15], tolerance=1.0).view_count == 15


def test_nothing_keeps_gradients() -> None:
    image = noise(24, 32).requires_grad_()
    weight = torch.ones((), requires_grad=True)
    adapted = adapt(lambda views: grey_level(views) * weight, image, views_of(image, 3))
    assert not adapted.heatmap.requires_grad


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"image": torch.zeros(1, 8, 8)}, ValueError, r"\(1, 8, 8\)"),
        ({"image": torch.zeros(8, 8, dtype=torch.uint8)}, TypeError, "uint8"),
        ({"image": np.zeros((8, 8), np.float32)}, TypeError, "float tensor"),
        ({"homographies": np.eye(3)}, ValueError, r"\(3, 3\)"),
        ({"homographies": np.zeros((0, 3, 3))}, ValueError, "none"),
        ({"homographies": np.zeros((1, 3, 3))}, ValueError, "inverted"),
        ({"homographies": torch.eye(3)[None]}, TypeError, "NumPy"),
        ({"aggregation": "median"}, ValueError, "median"),
        ({"erosion": -1}, ValueError, "-1"),
        ({"chunk_size": 0}, ValueError, "0"),
        ({"tolerance": -0.5}, ValueError, "-0.5"),
        ({"tolerance": 0.1, "aggregation": "max"}, ValueError, "max"),
        ({"heatmap_fn": lambda views: views}, ValueError, r"\(1, 8, 8\).*\(1, 1, 8, 8\)"),
    ],
)
def test_bad_input_is_refused(change: dict[str, Any], error: type[Exception], message: str) -> None:
    arguments: dict[str, Any] = {"heatmap_fn": grey_level, "image": torch.zeros(8, 8), "homographies": np.eye(3)[None]}
    with pytest.raises(error, match=message):
        adapt(**(arguments | change))
