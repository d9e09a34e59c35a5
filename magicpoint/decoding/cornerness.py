"""A heatmap weighed by the image's own corners: how exactly what the network finds can be placed.

A network says how likely a pixel is a keypoint. It has learnt to say so in any light, and says much the same of pixels
side by side. The image's structure tensor says how much a patch changes when it is moved by a pixel, in the direction
in which it changes least: the square root of the lesser eigenvalue. Noise moves a point by its own strength over that
(Förstner and Gülch 1987; Shi and Tomasi 1994). The product of both peaks where the image has its corner, and ranks
first what is likely to be a keypoint and exact.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .smoothing import smooth

HEATMAP_SIGMA = 0.8
"""Pixels by which a heatmap is smoothed before it is weighed: the cells cut a peak that lies between two of them."""

GAIN = 1.6
"""Of a heatmap that is smoothed here, which lowers its peaks."""

WINDOW = "5x5"
"""For the record."""

_HALO = 3
"""Pixels at each side of one that it depends on: one for the derivatives and two for the window, three to smooth."""

_BAND_PIXELS = 2**19
"""So many pixels are weighed at a time: beside its heatmap a large image needs little more than another one."""


def cornerness(grey: Tensor) -> Tensor:
    """The change of a patch around each pixel when it is moved by one pixel in the direction of the least change.

    The root of the lesser eigenvalue of the structure tensor, of derivatives by Sobel in a binomial window of 5x5,
    whose standard deviation is one pixel; beyond the border an image goes on as at it.

    Args:
        grey: float32 (B, H, W) in [0, 1].

    Returns:
        float32 (B, H, W), 0 or more, in grey levels a pixel.

    Examples:
        >>> image = torch.zeros(1, 16, 16)
        >>> image[0, 8:, 8:] = 1.0
        >>> weight = cornerness(image)
        >>> weight[0, 8, 8] > 10 * weight[0, 8, 12]
        tensor(True)
    """
    wide = F.pad(grey[:, None], (_HALO,) * 4, mode="replicate")[:, 0]
    down, along = _binomial(wide, 1), _binomial(wide, 2)
    dx, dy = (down[:, :, 2:] - down[:, :, :-2]) / 2.0, (along[:, 2:] - along[:, :-2]) / 2.0
    xx, xy, yy = (_window(product) for product in (dx * dx, dx * dy, dy * dy))
    mean, half = (xx + yy) / 2.0, (xx - yy) / 2.0
    lesser = mean - (half * half + xy * xy).sqrt()
    return lesser.clamp_min(0.0).sqrt()


def _binomial(values: Tensor, axis: int) -> Tensor:
    """(1, 2, 1) / 4 along an axis, which becomes two shorter."""
    count = values.shape[axis] - 2
    before, middle, after = (values.narrow(axis, start, count) for start in range(3))
    return (before + after) / 4.0 + middle / 2.0


def _window(values: Tensor) -> Tensor:
    """(1, 4, 6, 4, 1) / 16 along both axes, which become four shorter."""
    for axis in (1, 1, 2, 2):
        values = _binomial(values, axis)
    return values


@torch.no_grad()
def weigh(heatmap: Tensor, grey: Tensor, among: Tensor | None = None, smoothed: bool = False) -> Tensor:
    """A heatmap times the cornerness of its image, scaled so that its sum stays what it was, but for `GAIN`.

    So about as many pass the same threshold, whatever the contrast of the whole image. Where the largest would be more
    than 1 all are scaled further down.

    Args:
        heatmap: Floating (B, H, W) in [0, 1].
        grey: float32 (B, H, W) in [0, 1].
        among: bool (B, H, W): the sums are of these pixels; None: of all.
        smoothed: Whether the heatmap has been smoothed before.

    Returns:
        float32 (B, H, W) in [0, 1]. Where there is no corner anywhere in an image, its heatmap as it is.

    Raises:
        ValueError: The shapes differ.
    """
    if heatmap.shape != grey.shape or heatmap.ndim != 3:
        raise ValueError(f"heatmap {tuple(heatmap.shape)} and grey {tuple(grey.shape)} must both be (B, H, W)")
    heatmap = heatmap.float()
    weighed = torch.empty_like(heatmap)
    height = grey.shape[1]
    rows = max(1, _BAND_PIXELS // (grey.shape[0] * grey.shape[2]))
    for top in range(0, height, rows):
        first, last = max(top - _HALO, 0), min(top + rows + _HALO, height)
        likely = heatmap[:, first:last] if smoothed else smooth(heatmap[:, first:last], HEATMAP_SIGMA)
        band = likely * cornerness(grey[:, first:last])
        weighed[:, top : top + rows] = band[:, top - first : top - first + rows]
    for before, after, mask in zip(heatmap, weighed, among if among is not None else [None] * len(grey), strict=True):
        _scale(before, after, mask, 1.0 if smoothed else GAIN)
    return weighed


def _scale(heatmap: Tensor, weighed: Tensor, among: Tensor | None, gain: float) -> None:
    """Scales one (H, W) that is weighed in place, so that its sum is that of the heatmap (H, W) times the gain."""
    counted, found = (values if among is None else values[among] for values in (heatmap, weighed))
    total = found.sum()
    if total <= 0:
        weighed.copy_(heatmap)
        return
    factor = torch.minimum(gain * counted.sum() / total, 1.0 / found.max())
    weighed.mul_(factor).clamp_(max=1.0)
