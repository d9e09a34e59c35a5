"""From the network's output to keypoints.

Peaks are chosen on the raw pixel values, among the pixels that no neighbour exceeds; those in the border are dropped,
after they have suppressed their neighbours, so that these do not become keypoints; each is refined to a sub-pixel
position and height, and the height is the score; then the threshold and the top-k apply to the score.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..core.grid import CELL_SIZE, DUSTBIN
from .nms import find_peaks, summits
from .settings import DecodeSettings

# The fit reads a neighbour below this share of its peak as this share: the logarithm of values near zero is noise. A
# Gaussian keeps all its neighbours above it, and so is recovered exactly, from a sigma of 0.47 pixels upwards.
FLOOR = 0.01
LARGEST_RISE = FLOOR**-0.25  # of a peak above its pixel: the parabola along each axis raises it by FLOOR ** (-1 / 8)
ROUNDING = 1e-4  # room for a softmax or a mean that comes out above 1


def logits_to_heatmap(logits: Tensor) -> Tensor:
    """Softmax over each cell, its dustbin dropped, the cells laid out as pixels (SuperPoint, section 3.2).

    Args:
        logits: (B, 65, Hc, Wc) of any floating type; channel c < 64 is the pixel at row c // 8, column c % 8 of its
            cell, channel 64 the dustbin.

    Returns:
        (B, 8 Hc, 8 Wc) float32 in [0, 1]; the pixels of a cell sum to 1 less its dustbin.

    Raises:
        ValueError: `logits` is not (B, 65, Hc, Wc).

    Examples:
        >>> logits = torch.zeros(1, 65, 3, 4)
        >>> logits_to_heatmap(logits).shape
        torch.Size([1, 24, 32])
    """
    if logits.ndim != 4 or logits.shape[1] != DUSTBIN + 1:
        raise ValueError(f"logits must have shape (B, {DUSTBIN + 1}, Hc, Wc), got {tuple(logits.shape)}")
    return F.pixel_shuffle(logits.float().softmax(dim=1)[:, :DUSTBIN], CELL_SIZE).squeeze(1)


def _refine(heatmap: Tensor, usable: Tensor | None, peaks: Tensor) -> tuple[Tensor, Tensor]:
    """Sub-pixel positions (N, 2) xy and heights (N,) of peaks (N, 3), by a parabola in log h along x and along y.

    The logarithm of a Gaussian is a parabola, and that of an isotropic one is a sum of one in x and one in y. So three
    samples along each axis give its centre and its height exactly. A full quadratic would need the four diagonal
    neighbours, which add nothing for such a peak and are its smallest and so noisiest samples.

    The position stays on the pixel along an axis on which it is no maximum (without suppression), on which both
    neighbours equal it, or on which a neighbour lies outside the image or the mask. Elsewhere the fit cannot move it by
    more than half a pixel.
    """
    # One row and column more at each side, and -1 where there is no sample, spare the question of the image's edge.
    samples = F.pad(heatmap if usable is None else heatmap.where(usable, -1.0), (1, 1, 1, 1), value=-1.0)
    image, row, column = peaks.unbind(1)
    stride = samples.shape[2]
    places = (image * samples.shape[1] + row + 1) * stride + column + 1
    samples = samples.flatten()
    peak = samples[places]
    height = peak.log()
    offsets = []
    for step in (1, stride):
        before, after = samples[places - step], samples[places + step]
        # Relative to the peak: log h(t) / h(0) = slope t + bend t² / 2.
        left = (before / peak).clamp_min(FLOOR).log()
        right = (after / peak).clamp_min(FLOOR).log()
        slope, bend = (right - left) / 2, right + left
        fits = (before >= 0) & (after >= 0) & (left <= 0) & (right <= 0) & (bend < 0)
        offset = torch.where(fits, -slope / bend, 0.0)
        height = height + offset * slope / 2
        offsets.append(offset)
    keypoints = torch.stack((column + offsets[0], row + offsets[1]), dim=1)
    return keypoints, height.exp().clamp(max=1.0)


def _usable_pixels(
    heatmap: Tensor, image_sizes: Sequence[tuple[int, int]] | None, valid_mask: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """The (W, H) of each image, int64 (B, 2), and the pixels, bool (B, H, W), inside it and the mask; None: all."""
    batch, height, width = heatmap.shape
    true_sizes = [(width, height)] * batch if image_sizes is None else image_sizes
    if len(true_sizes) != batch or any(not (1 <= w <= width and 1 <= h <= height) for w, h in true_sizes):
        raise ValueError(f"image_sizes must be {batch} times (W, H) within {(width, height)}, got {image_sizes}")
    sizes = torch.tensor(true_sizes, dtype=torch.int64, device=heatmap.device)
    if valid_mask is None and all(size == (width, height) for size in true_sizes):
        return sizes, None
    columns = torch.arange(width, device=heatmap.device) < sizes[:, :1]
    rows = torch.arange(height, device=heatmap.device) < sizes[:, 1:]
    usable = rows[:, :, None] & columns[:, None, :]
    if valid_mask is not None:
        expected, got = (torch.bool, (batch, 1, height, width)), (valid_mask.dtype, tuple(valid_mask.shape))
        if got != expected:
            raise ValueError(f"valid_mask must be {expected}, got {got}")
        usable &= valid_mask[:, 0].to(heatmap.device)
    return sizes, usable


@torch.no_grad()
def decode(
    heatmap: Tensor,
    settings: DecodeSettings | None = None,
    image_sizes: Sequence[tuple[int, int]] | None = None,
    valid_mask: Tensor | None = None,
) -> list[tuple[Tensor, Tensor]]:
    """Find the keypoints of each image of a batch.

    Suppression (`nms.non_maximum_suppression`) is among the pixels that none of their eight neighbours exceeds.
    What the padding or the mask leaves out is read as if the image ended there, so a result never depends on it. With
    `subpixel` the score is the fitted height, since a peak between four pixels is as certain as one on a pixel's centre
    although its largest pixel is only about half as high.

    Args:
        heatmap: (B, H, W) floating in [0, 1].
        settings: None stands for `DecodeSettings()`.
        image_sizes: The true (W, H) of each image where the batch is padded at the right and the bottom.
        valid_mask: bool (B, 1, H, W); no keypoint is found where it is False.

    Returns:
        For each image its keypoints, float32 (N, 2) as (x, y) within [0, W - 1] and [0, H - 1], and scores, float32
        (N,) in [0, 1]; the largest score first, equal ones in raster order of their pixels; on the heatmap's device.

    Raises:
        ValueError: Values are NaN or outside [0, 1], or the shape of an argument does not fit.

    Examples:
        >>> heatmap = torch.zeros(1, 32, 32)
        >>> heatmap[0, 10, 20] = 0.5
        >>> [(keypoints, scores)] = decode(heatmap)
        >>> keypoints, scores
        (tensor([[20., 10.]]), tensor([0.5000]))
    """
    settings = settings or DecodeSettings()
    if heatmap.ndim != 3 or heatmap.numel() == 0 or not heatmap.is_floating_point():
        raise ValueError(f"heatmap must be floating (B, H, W), none 0, got {heatmap.dtype} {tuple(heatmap.shape)}")
    sizes, usable = _usable_pixels(heatmap, image_sizes, valid_mask)
    heatmap = heatmap.detach().float()
    if usable is not None:
        heatmap = heatmap.where(usable, 0)
    lowest, highest = (bound.item() for bound in heatmap.aminmax())
    if not (lowest >= 0 and highest <= 1 + ROUNDING):
        raise ValueError(f"heatmap must lie in [0, 1], got values from {lowest} to {highest}")

    lowest_peak = settings.threshold / LARGEST_RISE * (1 - ROUNDING) if settings.subpixel else settings.threshold
    peaks = find_peaks(summits(heatmap) if settings.nms_radius else heatmap, settings.nms_radius, lowest_peak)
    places, size = peaks[:, [2, 1]], sizes[peaks[:, 0]]
    peaks = peaks[((places >= settings.border) & (places < size - settings.border)).all(dim=1)]
    if settings.subpixel:
        keypoints, scores = _refine(heatmap, usable, peaks)
    else:
        keypoints, scores = peaks[:, [2, 1]].float(), heatmap[peaks.unbind(1)].clamp(max=1.0)
    above = scores > settings.threshold
    images, keypoints, scores = peaks[above, 0], keypoints[above], scores[above]

    # Raster order is what the peaks come in, and a stable sort keeps it among equal scores.
    order = scores.argsort(descending=True, stable=True)
    best = [order[images[order] == b][: settings.max_keypoints] for b in range(len(heatmap))]
    return [(keypoints[chosen], scores[chosen]) for chosen in best]
