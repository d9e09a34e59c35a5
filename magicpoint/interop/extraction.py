"""What other programs ask of an extractor beside `extract`: keypoints in a mask, descriptors of keypoints of theirs."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..core.errors import InputError
from ..core.grid import CELL_SIZE
from ..core.types import Features
from ..decoding.decode import decode
from ..decoding.descriptors import sample_descriptors
from ..inference.extractor import Extractor, as_input
from ..inference.tiles import needs_tiles, run_in_tiles, sample_strips


def extract_where(extractor: Extractor, grey: NDArray[np.float32], mask: NDArray[np.bool_] | None) -> Features:
    """`Extractor.extract` of the pixels that a mask leaves, from which the best are chosen.

    Args:
        extractor: Its settings decide as always.
        grey: (H, W) in [0, 1], see `io.images.to_grey`. The network sees all of it.
        mask: (H, W), False where no keypoint is wanted; None wants them everywhere.

    Returns:
        What `extract` gives where the mask is None or True everywhere.

    Raises:
        ValueError: The mask has another shape or is not bool.
    """
    if mask is not None and (mask.shape != grey.shape or mask.dtype != np.bool_):
        raise ValueError(f"the mask must be bool {grey.shape} as the image, got {mask.dtype} {mask.shape}")
    heatmap, dense = _maps(extractor, grey)
    height, width = grey.shape
    valid = None if mask is None else _padded(mask, heatmap)
    [(keypoints, scores)] = decode(heatmap, extractor.settings, [(width, height)], valid)
    descriptors = None if dense is None else _sample(dense, keypoints)
    return Features(keypoints, scores, descriptors, (width, height)).to(extractor.device)


def describe_keypoints(extractor: Extractor, grey: NDArray[np.float32], keypoints: Tensor) -> Tensor:
    """The descriptors of keypoints wherever they come from.

    Args:
        extractor: With descriptors.
        grey: (H, W) in [0, 1].
        keypoints: (N, 2) float32 as (x, y) in pixels.

    Returns:
        (N, D) float32 of unit length, on the extractor's device.

    Raises:
        InputError: See `check_descriptors`.
    """
    check_descriptors(extractor)
    _, dense = _maps(extractor, grey)
    assert dense is not None
    return _sample(dense, keypoints).to(extractor.device)


def check_descriptors(extractor: Extractor) -> None:
    """Refuse an extractor whose network has no descriptors.

    Raises:
        InputError: It has none.
    """
    if not extractor.model.settings.descriptor_dim:
        raise InputError(f"the weights {extractor.weights} give no descriptors: they are a detector's")


def _maps(extractor: Extractor, grey: NDArray[np.float32]) -> tuple[Tensor, Tensor | None]:
    if needs_tiles(grey):
        return run_in_tiles(extractor.network, grey)
    return extractor.network(as_input(grey, CELL_SIZE))


def _padded(mask: NDArray[np.bool_], heatmap: Tensor) -> Tensor:
    """The mask (1, 1, H', W') of a heatmap (1, H', W'), False where that goes beyond the image."""
    valid = torch.zeros(1, *heatmap.shape, dtype=torch.bool)
    valid[0, 0, : mask.shape[0], : mask.shape[1]] = torch.from_numpy(mask)
    return valid


def _sample(dense: Tensor, keypoints: Tensor) -> Tensor:
    """Descriptors from dense ones, which are in half precision where the image was run in tiles."""
    return (
        sample_strips(dense, keypoints) if dense.dtype == torch.float16 else sample_descriptors(dense, [keypoints])[0]
    )
