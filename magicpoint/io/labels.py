"""HDF5 files of labels for real images: keypoints, and where in the image they are known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..core.files import AnyPath
from ..core.types import Labels
from .features import FEATURES, features_of_arrays, features_to_arrays
from .record_shards import open_records
from .records import Layout, RecordFile

FORMAT = "magicpoint-labels-2"
"""The layout that this module writes. It reads magicpoint-labels-1, too, which has no checksums, and no other.

It is that of `io.features.FORMAT`, without descriptors, and each group has a dataset more: valid_mask, uint8, the
mask's rows one after the other, eight pixels in a byte (`numpy.packbits`, the first pixel in the highest bit).
"""


def read_labels(path: AnyPath) -> RecordFile[Labels]:
    """Open a file of labels as a mapping from keys to labels.

    Raises:
        FileNotFoundError: There is no such file.
        InputError: It is damaged, was changed by another program, is of another layout, or holds an unsafe key; the
            message names it.
    """
    return open_records(path, LABELS)


def _to_arrays(labels: Labels) -> dict[str, NDArray[Any]]:
    return features_to_arrays(labels) | {"valid_mask": np.packbits(labels.valid_mask.cpu().numpy())}


def _of_arrays(arrays: Mapping[str, NDArray[Any]], image_size: tuple[int, int]) -> Labels:
    features = features_of_arrays(arrays, image_size)
    width, height = image_size
    packed = arrays["valid_mask"]
    if packed.dtype != np.uint8 or packed.shape != (-(-width * height // 8),):
        raise ValueError(f"a valid_mask of {packed.shape} bytes does not fit an image of {width}x{height}")
    bits = np.unpackbits(packed, count=width * height).astype(bool)
    return Labels(
        features.keypoints,
        features.keypoint_scores,
        features.descriptors,
        features.image_size,
        torch.from_numpy(bits.reshape(height, width)),
    )


LABELS = Layout(
    FORMAT,
    ("magicpoint-labels-1",),
    "label file",
    (*FEATURES.fields, "valid_mask"),
    _to_arrays,
    _of_arrays,
    frozenset({"valid_mask"}),
)
