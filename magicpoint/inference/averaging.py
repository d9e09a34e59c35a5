"""The mean of an image's heatmaps at three sizes: more keypoints are found again and placed exactly, for more time.

What a network finds at one size only is weak in the mean, and where it places a corner a little differently at each,
the mean lies between. The idea is that of homographic adaptation (SuperPoint, arXiv 1712.07629, section 5), with three
sizes in place of a hundred homographies.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ..core.grid import CELL_SIZE
from ..decoding.smoothing import smooth
from ..io.grey import pad_to_multiple
from .pyramid import resize_grey

RATIOS = ((5, 7), (1, 1), (7, 5))
"""Half, once and twice the pixels: 3.5 times the work of the image alone.

Ratios of small whole numbers: an image whose sides are padded to multiples of 7 or 5 is resized by just this factor, so
that what is seen of a place does not depend on the image's size.
"""

AVERAGED = ", ".join(f"{new}/{old}" for new, old in RATIOS)
"""For the record."""

SIGMA = 0.8
"""Pixels by which the mean is smoothed."""

GAIN = 2.0
"""Peaks of a mean are lower. With this factor about as many keypoints pass the default threshold as of one heatmap: 0.9
to 1.2 times as many on 24 photographs, of superpoint the fewest and of superpoint-tiny the most; of the detector of
shapes, magicpoint, twice as many.
"""

Run = Callable[[NDArray[np.float32]], tuple[Tensor, Tensor | None]]
"""A grey image (H, W) to a heatmap (1, H', W'), H' and W' at least H and W, and descriptors or None."""


def mean_over_sizes(run: Run, grey: NDArray[np.float32]) -> tuple[Tensor, Tensor | None]:
    """The heatmap (1, H, W) of a grey image (H, W) in the mean over `RATIOS`, and its descriptors at its own size.

    The mean is smoothed, since a peak between two cells is cut by them, each of which counts its own pixels alone, and
    raised by `GAIN`.

    A size at which a side would be shorter than a cell, 8 pixels, is left out; where no other is left, the heatmap is
    that of the image alone.
    """
    height, width = grey.shape
    heatmap, dense = run(grey)
    heatmaps = [heatmap[:, :height, :width]]
    for new, old in RATIOS:
        if new != old and min(grey.shape) * new >= CELL_SIZE * old:
            heatmaps.append(_at_ratio(run, grey, new, old).to(heatmap.device))
    if len(heatmaps) == 1:
        return heatmaps[0], dense
    return (GAIN * smooth(torch.stack(heatmaps).mean(0), SIGMA)).clamp(0.0, 1.0), dense


def _at_ratio(run: Run, grey: NDArray[np.float32], new: int, old: int) -> Tensor:
    """The heatmap (1, H, W) of a grey (H, W) that is looked at at new / old times its size."""
    height, width = grey.shape
    padded = pad_to_multiple(grey, old)
    rows, columns = (side // old * new for side in padded.shape)
    heatmap = run(resize_grey(padded, (columns, rows)))[0][:, None, :rows, :columns]
    # Each pixel averages the area that it covers, so a heatmap of more pixels loses none.
    return F.interpolate(heatmap, padded.shape, mode="bilinear", antialias=True)[:, 0, :height, :width]
