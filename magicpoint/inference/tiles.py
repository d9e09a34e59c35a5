"""Large images in bounded memory: the network runs on tiles that overlap by what it sees, so that nothing changes.

The paper's network needs 520 bytes a pixel for its widest layers, 25 GB for an image of 8000x6000; computed in
strips, as on the CPU (`inference.strips`), still 64 for what its first ones give. In tiles it needs those of one
tile; of the whole image there are only the heatmap, 4 bytes a pixel, and the descriptors in half precision, one of
length 256 for each cell of 64 pixels, 8 bytes a pixel. Their rounding, 0.0005 of a component, is far below what tells
two descriptors apart; to run each tile a second time for exact ones would double the time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..core.grid import CELL_SIZE, DescriptorSampling
from ..decoding.descriptors import legacy_places, sample_descriptors

Network = Callable[[Tensor], tuple[Tensor, Tensor | None]]
"""An image (1, 1, H, W), H and W multiples of 8, to a heatmap (1, H, W) and descriptors (1, D, Hc, Wc) or None."""

# What an output cell sees beyond its own 8 pixels, at each side: two 3x3 convolutions at full resolution add 2 pixels,
# two at a half 4, two at a quarter 8, two at an eighth 16, and the head's 3x3 convolution at an eighth another 8. The
# 2x2 pools stay inside a cell as tiles begin at multiples of 8; the 1x1 convolutions, BatchNorm in evaluation, ReLU,
# softmax and the descriptors' normalisation see one position. That makes 38 pixels.
RECEPTIVE_MARGIN = 2 * (1 + 2 + 4 + 8) + 8
"""Pixels at each side of a cell that have an influence on what the network gives for it."""

HALO_CELLS = math.ceil(RECEPTIVE_MARGIN / CELL_SIZE)
"""Cells of a tile, along a border inside the image, that are spoilt by the zeros padded there and are thrown away."""

TILE_CELLS = 180
"""Longest side of a tile with its halo, in cells: 1440x1440 pixels are as many as 1920x1080.

The halo costs 1440² / 1360² - 1 = 12 % more arithmetic; tiles of half the side would cost 27 %, of twice the side 6 %
at four times the memory.
"""

MOST_PIXELS = (TILE_CELLS * CELL_SIZE) ** 2
"""Images of up to this many pixels, which need no more memory than a tile, are best run in one piece."""

_STRIP_CELLS = 32


def needs_tiles(grey: NDArray[np.float32]) -> bool:
    """Whether an image (H, W) has more pixels than `MOST_PIXELS`."""
    return grey.size > MOST_PIXELS


class _Span(NamedTuple):
    """One tile along one axis, in cells: [start, stop) goes through the network, [first, last) of it is kept."""

    start: int
    stop: int
    first: int
    last: int


def _split(cells: int, longest: int) -> list[_Span]:
    """Tiles of one size, at most `longest`, so that a compiled network meets one shape; the last two overlap more.

    A tile that ends at the border of the image keeps all there: the zeros that are padded are those of one piece.
    """
    if cells <= longest:
        return [_Span(0, cells, 0, cells)]
    inner = cells - 2 * HALO_CELLS
    count = math.ceil(inner / (longest - 2 * HALO_CELLS))
    step = math.ceil(inner / count)
    starts = [min(number * step, inner - step) for number in range(count)]
    edges = [0, *(start + HALO_CELLS for start in starts[1:]), cells]
    return [
        _Span(start, start + step + 2 * HALO_CELLS, first, last)
        for start, first, last in zip(starts, edges[:-1], edges[1:], strict=True)
    ]


@torch.no_grad()
def run_in_tiles(
    network: Network, grey: NDArray[np.float32], tile_cells: int = TILE_CELLS
) -> tuple[Tensor, Tensor | None]:
    """The heatmap and the dense descriptors of an image, computed tile by tile.

    They are what the network gives for the whole image, padded with `extractor.as_input`, up to the rounding of its
    convolutions, which may add in another order at another size of their input.

    Args:
        network: In evaluation; it moves its input to its device by itself. It sees no more than `RECEPTIVE_MARGIN`.
        grey: (H, W) in [0, 1].
        tile_cells: Longest side of a tile with its halo, in cells; more than two halos.

    Returns:
        The heatmap, float32 (1, H, W) of the image without padding, and the descriptors, float16 (1, D, Hc, Wc) of unit
        length up to rounding, or None; both on the CPU. `sample_map` takes the descriptors.

    Raises:
        ValueError: The tiles are too small.
    """
    if tile_cells <= 2 * HALO_CELLS:
        raise ValueError(f"tile_cells must be more than the two halos, {2 * HALO_CELLS}, got {tile_cells}")
    height, width = grey.shape
    rows, columns = (math.ceil(side / CELL_SIZE) for side in (height, width))
    heatmap = torch.empty(1, height, width)
    dense: Tensor | None = None
    for row in _split(rows, tile_cells):
        for column in _split(columns, tile_cells):
            values, descriptors = network(_tile(grey, row, column))
            inner = [slice(span.first - span.start, span.last - span.start) for span in (row, column)]
            part = heatmap[:, _pixels(row.first, row.last), _pixels(column.first, column.last)]
            values = values[:, *(_pixels(cells.start, cells.stop) for cells in inner)]
            part.copy_(values[:, : part.shape[1], : part.shape[2]])
            if descriptors is not None:
                if dense is None:
                    dense = torch.empty(1, descriptors.shape[1], rows, columns, dtype=torch.float16)
                dense[:, :, row.first : row.last, column.first : column.last] = descriptors[:, :, *inner]
    return heatmap, dense


def _pixels(first: int, last: int) -> slice:
    return slice(first * CELL_SIZE, last * CELL_SIZE)


def _tile(grey: NDArray[np.float32], row: _Span, column: _Span) -> Tensor:
    """The input (1, 1, H', W') of a tile; beyond the image its last row and column are repeated, see `as_input`."""
    inside = grey[_pixels(row.start, row.stop), _pixels(column.start, column.stop)]
    sides = [(span.stop - span.start) * CELL_SIZE for span in (row, column)]
    missing = [(0, side - there) for side, there in zip(sides, inside.shape, strict=True)]
    return torch.from_numpy(np.pad(inside, missing, mode="edge"))[None, None]


def sample_map(dense: Tensor, keypoints: Tensor, sampling: DescriptorSampling = "centres") -> Tensor:
    """`sample_descriptors` for one image (1, D, Hc, Wc), in strips where it is as large as those that need tiles.

    The descriptors (N, D) are on the device of the keypoints.
    """
    if dense.shape[2] * dense.shape[3] * CELL_SIZE**2 > MOST_PIXELS:
        return sample_strips(dense, keypoints, sampling).to(keypoints.device)
    return sample_descriptors(dense, [keypoints], sampling)[0].to(keypoints.device)


def sample_strips(dense: Tensor, keypoints: Tensor, sampling: DescriptorSampling = "centres") -> Tensor:
    """`sample_descriptors` for one large image, a strip of rows at a time, which alone becomes float32.

    Args:
        dense: (1, D, Hc, Wc) of any floating type.
        keypoints: (N, 2) as (x, y) in pixels of the image.
        sampling: See `sample_descriptors`.

    Returns:
        (N, D) float32 of unit length on the device of `dense`.
    """
    keypoints = keypoints.to(dense.device)
    if sampling == "legacy":  # of the whole map, so before it is cut
        keypoints = legacy_places(keypoints, dense.shape[2:])
    sampled = torch.empty(len(keypoints), dense.shape[1], device=dense.device)
    # The upper of the two rows of cells between whose centres a keypoint lies; beyond the outermost, that one.
    half = (CELL_SIZE - 1) / 2
    upper = ((keypoints[:, 1] - half) / CELL_SIZE).floor().clamp(0, dense.shape[2] - 1)
    for top in range(0, dense.shape[2], _STRIP_CELLS):
        chosen = (upper >= top) & (upper < top + _STRIP_CELLS)
        if chosen.any():
            strip = dense[:, :, top : top + _STRIP_CELLS + 1]
            within = keypoints[chosen] - keypoints.new_tensor([0.0, top * CELL_SIZE])
            sampled[chosen] = sample_descriptors(strip, [within])[0]
    return sampled
