"""The encoder in strips of rows, so that its activations stay small: the same numbers in less memory and time.

At 480x640 each of the two widest layers of the paper's network gives 79 MB. glibc maps so large a block anew at every
layer of every image and gives it back behind it, and the kernel fills its pages with zeros in between: a third of the
time. Blocks of a few MB are taken from what was freed before, and stay in the processor's cache on their way from one
layer to the next. Nothing is held back for that, and no setting of the process is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

STRIP_BYTES = 2**23
"""What a layer's activations in a strip have at most, where one has several rows. With twice as many an image of
480x640 takes as long, with half of them 3 % longer, and glibc holds blocks of up to 32 MB for reuse by itself."""

Convolution = Callable[[Tensor, bool], Tensor]
"""A 3x3 convolution and its ReLU: (B, C, H, W), with zeros at its left and right. With True there are zeros above and
below, too; with False the result has two rows less."""


@dataclass(frozen=True)
class Stage:
    """Two convolutions one after the other, and whether a 2x2 max-pool follows.

    Args:
        first: It has no influence on where the strips lie.
        second: Likewise.
        channels: The most that one of them gives.
        pooled: Whether they are pooled.
    """

    first: Convolution
    second: Convolution
    channels: int
    pooled: bool


def run_in_strips(stages: Sequence[Stage], activations: Tensor, strip_bytes: int = STRIP_BYTES) -> Tensor:
    """What the stages give one after the other, each computed strip by strip.

    Args:
        stages: Those of an encoder.
        activations: (B, C, H, W), channels last; H and W are multiples of what the stages pool.
        strip_bytes: Of a layer's activations in a strip.

    Returns:
        (B, C', H', W'), channels last: what the layers give for all rows at once, but for rounding where a convolution
        adds in another order at another size.
    """
    for stage in stages:
        activations = _run_stage(stage, activations, strip_bytes)
    return activations


def _run_stage(stage: Stage, activations: Tensor, strip_bytes: int) -> Tensor:
    height, width = activations.shape[2:]
    rows = _rows(height, strip_bytes // (len(activations) * stage.channels * width * activations.element_size()))
    joined: Tensor | None = None
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        # A row more at each side for each of the two convolutions, as far as the image has them.
        middle = max(top - 1, 0), min(bottom + 1, height)
        source = activations[:, :, max(middle[0] - 1, 0) : min(middle[1] + 1, height)]
        strip = _convolve(stage.second, _convolve(stage.first, source, *middle, height), top, bottom, height)
        if not stage.pooled and rows == height:
            return strip
        shrunk = 2 if stage.pooled else 1
        if joined is None:
            size = (len(strip), strip.shape[1], height // shrunk, width // shrunk)
            joined = torch.empty(size, dtype=strip.dtype, device=strip.device, memory_format=torch.channels_last)
        part = joined[:, :, top // shrunk : bottom // shrunk]
        if stage.pooled:
            pool(strip, part)
        else:
            part.copy_(strip)
    assert joined is not None
    return joined


def _rows(height: int, most: int) -> int:
    """An even number of rows, so that there are as few strips as need be, all but the last alike."""
    count = -(-height // max(most, 8))
    rows = -(-height // count)
    return min(height, rows + rows % 2)


def _convolve(convolution: Convolution, source: Tensor, top: int, bottom: int, height: int) -> Tensor:
    """The rows [top, bottom) of a convolution, of a source that has a row more at each side where the image does."""
    if top > 0 and bottom < height:
        return convolution(source, False)
    above = 1 if top > 0 else 0
    return convolution(source, True)[:, :, above : above + bottom - top]


def pool(activations: Tensor, out: Tensor | None = None) -> Tensor:
    """The 2x2 max-pool. Torch's own takes longer, as it notes where each maximum was, and refuses large maps of bytes.

    Args:
        activations: (B, C, H, W), H and W even.
        out: Where the result goes, (B, C, H / 2, W / 2); None makes it.
    """
    rows = torch.maximum(activations[:, :, ::2], activations[:, :, 1::2])
    return torch.maximum(rows[..., ::2], rows[..., 1::2], out=out)
