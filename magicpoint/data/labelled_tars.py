"""Labelled images in tar files, of any number: no index of them all is kept, only those of the files in use."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core.errors import InputError
from ..core.files import AnyPath
from ..core.types import Labels
from ..io.finding import find_images, is_tar
from ..io.images import decode_image
from ..io.reading import ImageReading
from ..io.record_shards import ShardSet
from ..io.records import RecordFile
from ..io.tars import TarImages, tar_of
from .labelled_shards import LabelledShards

OPEN_TARS = 2
"""A batch can begin in one and end in the next."""


class LabelledTars(LabelledShards):
    """The images of shards of labels, or of one file of them, that lie in tar files, see `io.tars`.

    One file after the other is opened, those of a shard of labels together; which image comes when is a function of the
    seed and of the labels alone. A file elsewhere is copied to this machine when its turn comes.

    Args:
        images: Tar files, folders of them, and lists, as they were given to `magicpoint adapt`.
        shards: All shards of the labels.
        certain_score: See `LabelledImages`.

    Raises:
        FileNotFoundError: A path does not exist.
        InputError: A shard of the labels is missing, damaged or of other settings than another; there is no keypoint;
            or there are labels of images that are in none of the files.
    """

    def __init__(self, images: Sequence[AnyPath], shards: ShardSet, certain_score: float = 0.0) -> None:
        self._tars = {key: path for key, path in find_images(images, tars=True).items() if is_tar(path)}
        self._images = ", ".join(map(str, images))
        super().__init__(Path(), shards, certain_score)

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in super().__getstate__().items() if name != "_open_tar"}

    def _remember(self) -> None:
        super()._remember()
        self._open_tar = functools.lru_cache(OPEN_TARS)(TarImages)

    def _sizes_of_parts(self, records: RecordFile[Labels]) -> list[int]:
        return [sum(1 for _ in keys) for _, keys in groupby(records, key=self._tar_of)]

    def _tar_of(self, key: str) -> str:
        tar = tar_of(key, self._tars)
        if tar is None:
            raise InputError(
                f"{self._whole} labels {key}, which is in no tar file of {self._images}: give the images as adapt got "
                "them"
            )
        return tar

    def _path_of(self, key: str) -> Path:
        tar = self._tar_of(key)
        return self._tars[tar] / key.removeprefix(f"{tar}/")

    def _check_is_there(self, key: str, labels: AnyPath) -> None:
        """Asked of each file when its turn comes."""

    def _read_image(self, key: str, path: AnyPath, reading: ImageReading) -> NDArray[np.float32]:
        tar = self._tar_of(key)
        images, name = self._open_tar(self._tars[tar]), key.removeprefix(f"{tar}/")
        if name not in images:
            raise InputError(f"{self._tars[tar]} has no image {name}, which {self._whole} labels")
        return decode_image(images.read(name, reading), images.place(images[name]), reading).grey
