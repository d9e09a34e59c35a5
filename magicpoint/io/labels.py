"""HDF5 files of labels for real images: keypoints, and where in the image they are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ..core.files import AnyPath
from ..core.types import Labels
from .features import read_group, write_group
from .records import Layout, RecordFile

FORMAT = "magicpoint-labels-1"
"""The layout that this module writes; a reader refuses any other.

It is that of `io.features.FORMAT`, without descriptors, and each group has a dataset more: valid_mask, uint8, the
mask's rows one after the other, eight pixels in a byte (`numpy.packbits`, the first pixel in the highest bit).
"""


def read_labels(path: AnyPath) -> RecordFile[Labels]:
    """Open a file of labels as a mapping from keys to labels.

    Raises:
        FileNotFoundError: There is no such file.
        InputError: It is damaged, of another layout, or holds an unsafe key; the message names it.
    """
    return RecordFile(path, LABELS)


def _write_group(group: Any, labels: Labels) -> None:
    write_group(group, labels)
    packed = np.packbits(labels.valid_mask.cpu().numpy())
    group.create_dataset("valid_mask", data=packed, compression="gzip", shuffle=False)


def _read_group(group: Any) -> Labels:
    features = read_group(group)
    width, height = features.image_size
    packed = group["valid_mask"][()]
    if packed.shape != (-(-width * height // 8),):
        raise ValueError(f"a valid_mask of {packed.shape} bytes does not fit an image of {width}x{height}")
    bits = np.unpackbits(packed, count=width * height).astype(bool)
    return Labels(
        features.keypoints,
        features.keypoint_scores,
        features.descriptors,
        features.image_size,
        torch.from_numpy(bits.reshape(height, width)),
    )


LABELS = Layout(FORMAT, "label file", _write_group, _read_group)
