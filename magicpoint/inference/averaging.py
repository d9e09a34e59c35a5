"""The mean of what a network says of an image at three sizes: better keypoints and descriptors, for more time.

What a network finds at one size only is weak in the mean of the heatmaps, and where it places a corner a little
differently at each, the mean lies between. The mean of a keypoint's descriptors changes less than each where the scale
does. The idea is that of homographic adaptation (SuperPoint, arXiv 1712.07629, section 5), with three sizes in place of
a hundred homographies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

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


class Look(NamedTuple):
    """The descriptors of an image, dense (1, D, Hc, Wc), as it is seen at `ratio` times its size."""

    dense: Tensor
    ratio: float


def mean_over_sizes(run: Run, grey: NDArray[np.float32]) -> tuple[Tensor, list[Look]]:
    """The heatmap (1, H, W) of a grey image (H, W) in the mean over `RATIOS`, and its descriptors at each.

    The mean is smoothed, since a peak between two cells is cut by them, each of which counts its own pixels alone, and
    raised by `GAIN`.

    A size at which a side would be shorter than a cell, 8 pixels, is left out; where no other is left, the heatmap is
    that of the image alone.
    """
    height, width = grey.shape
    heatmap, dense = run(grey)
    heatmaps, maps = [heatmap[:, :height, :width]], [(dense, 1.0)]
    for new, old in RATIOS:
        if new != old and min(grey.shape) * new >= CELL_SIZE * old:
            other, dense = _at_ratio(run, grey, new, old)
            heatmaps.append(other.to(heatmap.device))
            maps.append((dense, new / old))
    looks = [Look(dense, ratio) for dense, ratio in maps if dense is not None]
    if len(heatmaps) == 1:
        return heatmaps[0], looks
    return (GAIN * smooth(torch.stack(heatmaps).mean(0), SIGMA)).clamp(0.0, 1.0), looks


def mean_descriptors(sample: Callable[[Tensor, Tensor], Tensor], looks: Sequence[Look], keypoints: Tensor) -> Tensor:
    """The descriptors (N, D) of keypoints (N, 2): of unit length, the mean over what was seen of them.

    Args:
        sample: A dense map and places in pixels of what it was made from, to descriptors of unit length.
        looks: One gives its own bits.
        keypoints: In pixels of the image.
    """
    found = [sample(look.dense, (keypoints + 0.5) * look.ratio - 0.5) for look in looks]
    return found[0] if len(found) == 1 else F.normalize(torch.stack(found).sum(0), dim=1)


def _at_ratio(run: Run, grey: NDArray[np.float32], new: int, old: int) -> tuple[Tensor, Tensor | None]:
    """The heatmap (1, H, W) of a grey (H, W) that is looked at at new / old times its size, and its descriptors."""
    height, width = grey.shape
    padded = pad_to_multiple(grey, old)
    rows, columns = (side // old * new for side in padded.shape)
    heatmap, dense = run(resize_grey(padded, (columns, rows)))
    seen = heatmap[:, None, :rows, :columns]
    # Each pixel averages the area that it covers, so a heatmap of more pixels loses none.
    return F.interpolate(seen, padded.shape, mode="bilinear", antialias=True)[:, 0, :height, :width], dense
