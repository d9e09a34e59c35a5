"""Homographic adaptation: the heatmaps of random views of an image, averaged (SuperPoint, arXiv 1712.07629, 5)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from homography.masks import valid_mask
from homography.warp import _opencv_is_exact, check_homography, inverse_homography, is_tensor, warp_image

if TYPE_CHECKING:
    import torch

Aggregation = Literal["mean", "sum", "max"]

CHECK_EVERY = 10
"""Views between two looks at whether the mean has converged."""

WHOLE = 1 - 1e-3
"""The weight of valid pixels from which on an interpolated pixel counts as seen; the rest is rounding."""


@dataclasses.dataclass(frozen=True, eq=False)
class AdaptedHeatmap:
    """What the views of an image agree on; tensors on the image's device.

    Args:
        heatmap: (H, W) float32, the aggregate of the heatmaps, in their unit; 0 where no view saw the pixel.
        counts: (H, W) int32, how many views saw the pixel.
        valid_mask: (H, W) bool, whether any did.
        view_count: Number of views that were run; less than were given where the mean converged before.
    """

    heatmap: torch.Tensor
    counts: torch.Tensor
    valid_mask: torch.Tensor
    view_count: int


def adapt(
    heatmap_fn: Callable[[torch.Tensor], torch.Tensor],
    image: torch.Tensor,
    homographies: NDArray[np.floating],
    *,
    aggregation: Aggregation = "mean",
    erosion: int = 4,
    chunk_size: int = 8,
    tolerance: float | None = None,
) -> AdaptedHeatmap:
    """Warp an image to many views, find the heatmap of each, warp the heatmaps back and aggregate them.

    A view sees a pixel of the image where its heatmap can be interpolated from pixels that are at least `erosion`
    pixels away from the frame of the view and from everything outside the image, where the function sees padding and
    fill (black). Only what is seen is aggregated.

    Both warps are bilinear. On a peak of the form of a Gaussian of sigma 0.6 pixels the mean over 50 views moves the
    position by 0.02 pixels and halves the height. Neither cubic interpolation, nor interpolating the logarithm, nor
    adding up the sub-pixel keypoints of the views instead of their heatmaps finds the corners of renders better.

    Args:
        heatmap_fn: It takes views, float32 (B, 1, H, W) on the image's device, B up to `chunk_size`, and gives their
            heatmaps, floating (B, H, W). It is called without gradients.
        image: float (H, W), in [0, 1] for a network.
        homographies: (N, 3, 3), N at least 1, each maps the image to a view of the same size; see
            `homography.sample_views`, whose first is the identity.
        aggregation: What is taken of the values of the views that saw a pixel.
        erosion: Whole pixels of a view, not negative.
        chunk_size: Views in memory at a time, at least 1. It changes no result beyond what `heatmap_fn` makes of it.
        tolerance: Stop before the last view, in the unit of the heatmap: every 10 views, as soon as the last 10 have
            moved the mean of no pixel by more than this. None takes all views.

    Raises:
        TypeError: The image is no float tensor or the homographies are no float array.
        ValueError: A shape does not fit, a number or the aggregation is out of range, a tolerance is given for another
            aggregation than the mean, or a homography cannot be inverted.

    Examples:
        >>> import numpy as np
        >>> import torch
        >>> image = torch.zeros(32, 32)
        >>> image[16, 12] = 1.0
        >>> adapted = adapt(lambda views: views[:, 0], image, np.eye(3)[None], erosion=4)
        >>> adapted.heatmap.argmax().item() == 16 * 32 + 12
        True
        >>> adapted.valid_mask[0, 0].item()  # nearer to the frame than the erosion
        False
    """
    import torch

    _check(image, homographies, aggregation, chunk_size, tolerance)
    largest = aggregation == "max"
    combine, neutral = (torch.maximum, -torch.inf) if largest else (torch.add, 0.0)
    total = torch.full_like(image, neutral, dtype=torch.float32)
    counts = torch.zeros_like(image, dtype=torch.int32)
    previous: torch.Tensor | None = None
    view_count = 0
    with torch.no_grad():
        for chunk in _chunks(homographies, chunk_size, len(homographies) if tolerance is None else CHECK_EVERY):
            # One view after the other, so that the size of the chunks does not change the order of the sums.
            for heatmap, seen in zip(*_run_views(heatmap_fn, image, chunk, erosion), strict=True):
                total = combine(total, heatmap.where(seen, neutral))
                counts += seen
            view_count += len(chunk)
            if tolerance is not None and view_count % CHECK_EVERY == 0:
                mean = total / counts.clamp(min=1)
                if previous is not None and float((mean - previous).abs().max()) <= tolerance:
                    break
                previous = mean
    if aggregation == "mean":
        total = total / counts.clamp(min=1)
    return AdaptedHeatmap(total.where(counts > 0, 0.0), counts, counts > 0, view_count)


def _check(
    image: torch.Tensor,
    homographies: NDArray[np.floating],
    aggregation: str,
    chunk_size: int,
    tolerance: float | None,
) -> None:
    if not is_tensor(image) or not image.is_floating_point():
        raise TypeError(f"image must be a float tensor, got {getattr(image, 'dtype', type(image))}")
    if image.ndim != 2 or 0 in image.shape:
        raise ValueError(f"image must have the shape (H, W), none of them 0, got {tuple(image.shape)}")
    if not isinstance(homographies, np.ndarray):
        raise TypeError(f"homographies must be a NumPy array, got {type(homographies)}")
    check_homography(homographies, batched=True)
    if len(homographies) < 1:
        raise ValueError("homographies must be at least one, got none")
    if aggregation not in ("mean", "sum", "max"):
        raise ValueError(f"aggregation must be 'mean', 'sum' or 'max', got {aggregation!r}")
    if chunk_size < 1:
        raise ValueError(f"chunk_size must be at least 1, got {chunk_size}")
    if tolerance is not None and (aggregation != "mean" or not tolerance >= 0):
        raise ValueError(f"tolerance must be 0 or more and of the mean, got {tolerance} of the {aggregation}")


def _chunks(homographies: NDArray[np.floating], chunk_size: int, period: int) -> Iterator[NDArray[np.floating]]:
    """At most `chunk_size` homographies at a time, with an end of a chunk after every `period`."""
    for start in range(0, len(homographies), period):
        block = homographies[start : start + period]
        for first in range(0, len(block), chunk_size):
            yield block[first : first + chunk_size]


def _run_views(
    heatmap_fn: Callable[[torch.Tensor], torch.Tensor],
    image: torch.Tensor,
    homographies: NDArray[np.floating],
    erosion: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The heatmaps of views, (B, H, W), in the image's frame, and which of their pixels the views saw, bool."""
    import torch

    count, (height, width) = len(homographies), image.shape
    views = _warp(image.detach().float().expand(count, height, width), homographies)
    heatmaps = heatmap_fn(views[:, None])
    if heatmaps.shape != views.shape or not heatmaps.is_floating_point():
        raise ValueError(
            f"heatmap_fn must give floating {tuple(views.shape)}, got {heatmaps.dtype} {tuple(heatmaps.shape)}"
        )
    masks = np.stack([valid_mask((width, height), H, erosion=erosion) for H in homographies])
    back = inverse_homography(homographies)
    weights = _warp(torch.from_numpy(masks).to(image.device, torch.float32), back)
    return _warp(heatmaps.detach().float(), back), weights >= WHOLE


def _warp(images: torch.Tensor, homographies: NDArray[np.floating]) -> torch.Tensor:
    """Each of the images (B, H, W), float32, through its homography, by the fastest exact way that there is."""
    import torch

    if images.device.type == "cpu" and _opencv_is_exact("<f4", 1):
        pairs = zip(images.numpy(), homographies, strict=True)
        return torch.from_numpy(np.stack([warp_image(image, H) for image, H in pairs]))
    matrices = torch.from_numpy(homographies.astype(np.float32)).to(images.device)
    return warp_image(images[:, None], matrices)[:, 0]
