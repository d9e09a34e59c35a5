"""What other programs ask of an extractor beside `extract`: descriptors of keypoints of theirs."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..core.errors import InputError
from ..core.grid import CELL_SIZE
from ..decoding.descriptors import sample_descriptors
from ..inference.extractor import Extractor, as_input
from ..inference.tiles import needs_tiles, run_in_tiles, sample_strips


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


def _sample(dense: Tensor, keypoints: Tensor) -> Tensor:
    """Descriptors from dense ones, which are in half precision where the image was run in tiles."""
    return (
        sample_strips(dense, keypoints) if dense.dtype == torch.float16 else sample_descriptors(dense, [keypoints])[0]
    )
