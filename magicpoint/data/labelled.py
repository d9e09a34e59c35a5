"""Labelled images, wherever they lie and in however many files their labels are."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ..core.files import AnyPath
from ..io.finding import is_list, is_tar
from ..io.labels import LABELS
from ..io.record_shards import ShardSet, find_shards
from ..io.records import RecordFile
from ..io.remote import address_of
from ..io.tars import is_in_tar
from .labelled_images import LabelledImages
from .labelled_shards import LabelledShards
from .labelled_tars import LabelledTars


def open_labelled(images: Sequence[AnyPath], labels: AnyPath, certain_score: float = 0.0) -> LabelledImages:
    """The images of a label file, or of shards; see `LabelledImages`.

    Of images in tar files `LabelledTars`; of shards, where the images are those of one folder, `LabelledShards`.
    """
    shards = find_shards(labels, LABELS)
    files = shards or ShardSet(Path(labels), 1, {0: Path(labels)})
    if _are_in_tars(files):
        return LabelledTars(images, files, certain_score)
    if shards is None or len(images) != 1 or not _is_folder(images[0]):
        return LabelledImages(images, labels, certain_score)
    return LabelledShards(images[0], shards, certain_score)


def _are_in_tars(files: ShardSet) -> bool:
    """What the first key says."""
    keys = (key for _, path in sorted(files.files.items()) if path.is_file() for key in RecordFile(path, LABELS))
    return is_in_tar(next(keys, ""))


def _is_folder(path: AnyPath) -> bool:
    if address_of(path) is not None:
        return not is_list(Path(path)) and not is_tar(Path(path))
    return os.path.isdir(path)
