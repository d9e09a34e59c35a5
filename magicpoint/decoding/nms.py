"""Greedy non-maximum suppression in a square, exact on every device."""

from __future__ import annotations

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

_NEIGHBOURS = np.ones((3, 3), np.uint8)


def non_maximum_suppression(heatmap: Tensor, radius: int, threshold: float = 0.0) -> Tensor:
    """Mark the peaks that greedy selection by value keeps.

    The pixels are visited from the largest value to the smallest, equal values in raster order (the upper row first,
    in a row the left pixel first). A pixel is kept unless it lies in the square of 2 radius + 1 pixels around one that
    was kept before it. So a plateau is reduced to single pixels. A pixel at or below the threshold neither is a peak
    nor can it suppress one above it. The result is the same on every device.

    Args:
        heatmap: (B, H, W) floating, not NaN.
        radius: In pixels, 0 or more.
        threshold: 0 or more.

    Returns:
        bool (B, H, W).

    Raises:
        ValueError: The shape, radius or threshold is none of these.
    """
    if heatmap.ndim != 3:
        raise ValueError(f"heatmap must have shape (B, H, W), got {tuple(heatmap.shape)}")
    if radius < 0 or not threshold >= 0:
        raise ValueError(f"radius and threshold must be 0 or more, got {radius} and {threshold}")
    peaks = torch.zeros(heatmap.shape, dtype=torch.bool, device=heatmap.device)
    peaks[find_peaks(heatmap.detach().float(), radius, threshold).unbind(1)] = True
    return peaks


def find_peaks(heatmap: Tensor, radius: int, threshold: float) -> Tensor:
    """The peaks of `non_maximum_suppression` as int64 (N, 3): image, row, column, in raster order."""
    if radius == 0:
        return (heatmap > threshold).nonzero()
    if heatmap.device.type != "cpu":
        return _peaks_by_pooling(heatmap, radius, threshold).nonzero()
    images = enumerate(heatmap.contiguous().numpy())
    flat = [_peaks_by_visiting(image, radius, threshold) + b * image.size for b, image in images]
    return torch.from_numpy(np.stack(np.unravel_index(np.concatenate(flat), heatmap.shape), axis=1))


def summits(heatmap: Tensor) -> Tensor:
    """The map (B, H, W) with 0 in place of every pixel that one of its eight neighbours exceeds.

    The slope of a peak that is wider than the suppression would otherwise stand in a ring of keypoints around it.
    """
    if heatmap.device.type != "cpu":
        return heatmap.where(heatmap >= F.max_pool2d(heatmap[:, None], 3, stride=1, padding=1)[:, 0], 0)
    images = heatmap.contiguous().numpy()
    return torch.from_numpy(np.stack([image * (image >= cv2.dilate(image, _NEIGHBOURS)) for image in images]))


def _peaks_by_visiting(image: NDArray[np.float32], radius: int, threshold: float) -> NDArray[np.int64]:
    """Raster indices of the peaks of one (H, W): the clear ones at once, then one visit to each pixel left over."""
    height, width = image.shape
    side = 2 * radius + 1
    above_threshold = image > threshold
    clear = _first_of_their_square(image, radius, above_threshold)
    covered = cv2.dilate(clear.view(np.uint8), np.ones((side, side), np.uint8)).view(np.bool_)
    candidates = np.flatnonzero(above_threshold > covered)
    # Positive floats order as their bits do: one integer holds the value and, below it, the raster index for ties.
    bits = image.ravel()[candidates].view(np.uint32)
    keys = np.sort((~bits).astype(np.uint64) << np.uint64(32) | candidates.astype(np.uint64))
    rows, columns = np.divmod((keys & np.uint64(0xFFFFFFFF)).astype(np.int64), width)

    stride = width + 2 * radius
    suppressed = bytearray((height + 2 * radius) * stride)
    squares = np.frombuffer(suppressed, np.uint8).reshape(-1, stride)
    kept = []
    for place in ((rows + radius) * stride + columns + radius).tolist():
        if not suppressed[place]:
            row, column = place // stride - radius, place % stride - radius
            squares[row : row + side, column : column + side] = 1
            kept.append(row * width + column)
    return np.sort(np.concatenate((np.flatnonzero(clear), np.array(kept, dtype=np.int64))))


def _first_of_their_square(image: NDArray[np.float32], radius: int, among: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which pixels greedy selection visits before all others of their square: none larger, none equal before them."""
    side = 2 * radius + 1
    first: NDArray[np.bool_] = image == cv2.dilate(image, np.ones((side, side), np.uint8))
    first &= among
    # Where no value comes twice none is equal. Those that are no first themselves count: one may lie before its equal.
    values = np.sort(image[among])
    if (values[1:] > values[:-1]).all():
        return first
    # With the anchor at its end, the window ends at its pixel; shifted by one it ends just before.
    above = cv2.dilate(image, np.ones((radius, side), np.uint8), anchor=(radius, radius - 1))
    first[1:] &= image[1:] > above[:-1]
    left = cv2.dilate(image, np.ones((1, radius), np.uint8), anchor=(radius - 1, 0))
    first[:, 1:] &= image[:, 1:] > left[:, :-1]
    return first


def _peaks_by_pooling(heatmap: Tensor, radius: int, threshold: float) -> Tensor:
    """The same as a bool (B, H, W) without leaving the device: rounds of max-pooling until no pixel is left."""
    side = 2 * radius + 1
    left_over = heatmap.where(heatmap > threshold, 0)[:, None]
    peaks = torch.zeros_like(left_over, dtype=torch.bool)
    while bool(left_over.any()):
        rows = F.max_pool2d(left_over, (1, side), stride=1, padding=(0, radius))
        square = F.max_pool2d(rows, (side, 1), stride=1, padding=(radius, 0))
        above = F.max_pool2d(F.pad(rows, (0, 0, radius, -1)), (radius, 1), stride=1)
        left = F.max_pool2d(F.pad(left_over, (radius, -1)), (1, radius), stride=1)
        first = (left_over > 0) & (left_over == square) & (left_over > above) & (left_over > left)
        peaks |= first
        left_over = left_over.where(F.max_pool2d(first.float(), side, stride=1, padding=radius) == 0, 0)
    return peaks[:, 0]


def suppress_points(points: NDArray[np.float32], radius: int) -> NDArray[np.int64]:
    """Greedy selection as in `non_maximum_suppression`, of points between pixels, each at its nearest pixel.

    Args:
        points: (N, 2) of one image, (x, y) in pixels, the best first.
        radius: In pixels; 0 keeps all.

    Returns:
        Indices of those that are kept, increasing.
    """
    if radius == 0 or len(points) == 0:
        return np.arange(len(points))
    pixels = np.rint(points).astype(np.int64)
    columns, rows = (pixels - pixels.min(axis=0)).T
    height, width = int(rows.max()) + 1, int(columns.max()) + 1
    # The best of each pixel, by a score that falls with the rank.
    _, first = np.unique(rows * width + columns, return_index=True)
    ranks = torch.zeros((1, height, width))
    ranks[0, rows[first], columns[first]] = torch.from_numpy((len(points) - first) / len(points)).float()
    kept = non_maximum_suppression(ranks, radius)[0].numpy()[rows[first], columns[first]]
    return np.sort(first[kept])
