"""HDF5 files of features."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..core.files import AnyPath
from ..core.origins import check_one_origin
from ..core.types import Features
from .record_shards import open_records
from .records import Layout, RecordFile, write_records

FORMAT = "magicpoint-features-2"
"""The layout that this module writes. It reads magicpoint-features-1, too, which has no checksums, and no other.

The key of an image is the path of its group, so that a slash in it makes nested groups. A group holds the datasets
keypoints, keypoint_scores and, if there are any, descriptors and keypoint_scales, as in `Features`, and the attributes
image_size (W, H) and, where it is known, image_sha256, of the image file or, for a frame of a video, of its grey
values. Attributes of the file are format, skipped (JSON: key and reason of each image that could not be read) and
whatever says where the features come from. Behind the end of the HDF5 file lies the index of `io.record_index`, by
which this project reads it. Of a JPEG the grey values are since this format the brightness that it stores.
"""

_ARRAYS = ("keypoints", "keypoint_scores", "descriptors", "keypoint_scales")


def write_features(
    path: AnyPath,
    features: Mapping[str, Features],
    provenance: Mapping[str, str] | None = None,
    digests: Mapping[str, str] | None = None,
) -> Path:
    """Write the features of images under their keys; see `write_records`.

    Raises:
        InputError: Those of two networks are among them, see `core.origins`.
    """
    check_one_origin(features.values())
    return write_records(path, FEATURES, features, provenance, digests)


def features_to_arrays(features: Features) -> dict[str, NDArray[Any]]:
    """The arrays of `FORMAT`."""
    tensors = {name: getattr(features, name) for name in _ARRAYS}
    return {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items() if tensor is not None}


def features_of_arrays(arrays: Mapping[str, NDArray[Any]], image_size: tuple[int, int]) -> Features:
    """Their reverse; what does not fit raises a `KeyError`, a `TypeError` or a `ValueError`."""
    for name, values in arrays.items():
        if not np.isfinite(values).all():
            raise ValueError(f"{name} has a value that is not a number or infinite")
    keypoints, scores = (torch.from_numpy(arrays[name]) for name in ("keypoints", "keypoint_scores"))
    descriptors, scales = (
        torch.from_numpy(arrays[name]) if name in arrays else None for name in ("descriptors", "keypoint_scales")
    )
    return Features(keypoints, scores, descriptors, image_size, keypoint_scales=scales)


FEATURES = Layout(
    FORMAT,
    ("magicpoint-features-1",),
    "feature file",
    _ARRAYS,
    features_to_arrays,
    features_of_arrays,
)


def read_features(path: AnyPath) -> RecordFile[Features]:
    """Open a file of `write_features` as a mapping from keys to features.

    Raises:
        FileNotFoundError: There is no such file.
        InputError: It is damaged, was changed by another program, is of another layout, or holds an unsafe key; the
            message names it.

    Examples:
        >>> import tempfile
        >>> one = Features(torch.tensor([[3.5, 2.0]]), torch.tensor([0.9]), None, (160, 120))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = write_features(Path(folder, "features.h5"), {"cat.png": one})
        ...     read_features(path)["cat.png"].keypoints
        tensor([[3.5000, 2.0000]])
    """
    return open_records(path, FEATURES)
