"""HDF5 files of features."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..core.files import AnyPath
from ..core.types import Features
from .records import Layout, RecordFile, write_records

FORMAT = "magicpoint-features-1"
"""The layout that this module writes; a reader refuses any other.

The key of an image is the path of its group, so that a slash in it makes nested groups. A group holds the datasets
keypoints, keypoint_scores and, if there are any, descriptors, as in `Features`, and the attributes image_size (W, H)
and, where it is known, image_sha256, of the image file or, for a frame of a video, of its grey values. Attributes of
the file are format, skipped (JSON: key and reason of each image that could not be read) and whatever says where the
features come from.
"""


def write_features(
    path: AnyPath,
    features: Mapping[str, Features],
    provenance: Mapping[str, str] | None = None,
    digests: Mapping[str, str] | None = None,
) -> Path:
    """Write the features of images under their keys; see `write_records`."""
    return write_records(path, FEATURES, features, provenance, digests)


def write_group(group: Any, features: Features) -> None:
    """Fill the group of an image, see `FORMAT`."""
    group.attrs["image_size"] = np.array(features.image_size, np.int64)
    group["keypoints"] = features.keypoints.detach().cpu().numpy()
    group["keypoint_scores"] = features.keypoint_scores.detach().cpu().numpy()
    if features.descriptors is not None:
        group["descriptors"] = features.descriptors.detach().cpu().numpy()


def read_group(group: Any) -> Features:
    """Read the group of an image; damage raises one of the errors of h5py, a `TypeError` or a `ValueError`."""
    width, height = group.attrs["image_size"].tolist()
    keypoints, scores = (torch.from_numpy(group[name][()]) for name in ("keypoints", "keypoint_scores"))
    descriptors = torch.from_numpy(group["descriptors"][()]) if "descriptors" in group else None
    return Features(keypoints, scores, descriptors, (width, height))


FEATURES = Layout(FORMAT, "feature file", write_group, read_group)


def read_features(path: AnyPath) -> RecordFile[Features]:
    """Open a file of `write_features` as a mapping from keys to features.

    Raises:
        FileNotFoundError: There is no such file.
        InputError: It is damaged, of another layout, or holds an unsafe key; the message names it.

    Examples:
        >>> import tempfile
        >>> one = Features(torch.tensor([[3.5, 2.0]]), torch.tensor([0.9]), None, (160, 120))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = write_features(Path(folder, "features.h5"), {"cat.png": one})
        ...     read_features(path)["cat.png"].keypoints
        tensor([[3.5000, 2.0000]])
    """
    return RecordFile(path, FEATURES)
