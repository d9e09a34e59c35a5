"""Images without labels, as samples to make views of."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from ..core.files import AnyPath
from ..io.finding import find_images
from ..io.images import read_image
from .samples import TrainingSample, certain_sample
from .sources import ShuffledIndices


class ImageFiles:
    """The images of files and folders; each is opened when it is asked for, so that this can be sent to processes.

    `len(files)` is their number; `files[i]` is a `TrainingSample` without keypoints.

    Args:
        images: Image files, and folders to search for images.

    Raises:
        FileNotFoundError: A path does not exist.
        InputError: There is no image.
    """

    def __init__(self, images: Sequence[AnyPath]) -> None:
        self._paths = find_images(images)
        self._keys = list(self._paths)

    def __len__(self) -> int:
        return len(self._keys)

    def __getitem__(self, index: int) -> TrainingSample:
        grey = read_image(self._paths[self._keys[index]])
        return certain_sample(np.rint(grey * 255).astype(np.uint8), np.zeros((0, 2), np.float32))

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the keys and the content of the files."""
        digest = hashlib.sha256()
        for key, path in self._paths.items():
            digest.update(key.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()


class ImageSource:
    """Images without labels over and over, each time in another order.

    Args:
        images: The images.
        indices: Those of them to take.
        seed: Decides the order.
    """

    def __init__(self, images: ImageFiles, indices: Sequence[int], seed: int) -> None:
        self._images, self._order = images, ShuffledIndices(indices, seed)

    @property
    def digest(self) -> str:
        """That of the images."""
        return self._images.digest

    def sample(self, index: int) -> TrainingSample:
        return self._images[self._order[index]]
