"""Heatmaps smoothed, so that a peak which two cells share counts whole."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def smooth(heatmap: Tensor, sigma: float) -> Tensor:
    """A heatmap (B, H, W) smoothed by a Gaussian of `sigma` pixels; beyond the border it goes on as at it.

    A peak between two cells is cut by them, since each cell counts its own pixels alone. Smoothing joins the parts.
    """
    radius = math.ceil(3 * sigma)
    place = torch.arange(-radius, radius + 1, device=heatmap.device, dtype=heatmap.dtype)
    kernel = torch.exp(-(place**2) / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    padded = F.pad(heatmap[:, None], (radius,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(padded, kernel[None, None, None]), kernel[None, None, :, None])[:, 0]
