"""Where samples come from: rendered shapes, stored datasets, labelled images."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from synthetic_shapes import ShapeSettings, render_sample
from synthetic_shapes.sample import sample_generator

Sample = tuple[NDArray[np.uint8], NDArray[np.float32]]
"""A uint8 (H, W) image and its float32 (N, 2) keypoints, (x, y)."""


class Source(Protocol):
    """Where samples come from; spawn-safe, so picklable."""

    @property
    def digest(self) -> str:
        """Tells one content from another."""

    def sample(self, index: int) -> Sample:
        """Sample number ``index`` of an endless sequence."""


@dataclass(frozen=True)
class RenderedSource:
    """Shapes rendered as they are asked for: no image comes twice."""

    seed: int
    settings: ShapeSettings

    @property
    def digest(self) -> str:
        """SHA-256 over the first two samples of each shape: the images are endless."""
        digest = hashlib.sha256()
        for index in range(2 * len(self.settings.shapes)):
            for array in self.sample(index):
                digest.update(array.tobytes())
        return digest.hexdigest()

    def sample(self, index: int) -> Sample:
        return render_sample(self.seed, index, self.settings)


class StoredDataset(Protocol):
    """A sequence of samples, as ``synthetic_shapes.ShapesDataset`` is."""

    @property
    def digest(self) -> str: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...


class ShuffledIndices:
    """Indices over and over, each time in another order."""

    def __init__(self, indices: Sequence[int], seed: int) -> None:
        self._indices, self._seed = np.asarray(indices), seed
        self._epoch, self._order = -1, np.empty(0, np.int64)

    def __getitem__(self, number: int) -> int:
        epoch, place = divmod(number, len(self._indices))
        if epoch != self._epoch:
            self._order = sample_generator(self._seed, "order", epoch).permutation(self._indices)
            self._epoch = epoch
        return int(self._order[place])


class StoredSource:
    """A stored dataset, over and over, each time in another order."""

    def __init__(self, dataset: StoredDataset, seed: int) -> None:
        if not len(dataset):
            raise ValueError("the dataset has no samples")
        self._dataset, self._order = dataset, ShuffledIndices(range(len(dataset)), seed)
        self.digest = dataset.digest

    def sample(self, index: int) -> Sample:
        return self._dataset[self._order[index]]


LabelledSample = tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.bool_]]
"""A grey image (H, W), its keypoints (N, 3), x, y and certainty in [0, 1], and where they were looked for, (H, W)."""


class LabelledSource(Protocol):
    """Where images with keypoints come from; spawn-safe, so picklable. The images may differ in size."""

    def sample(self, index: int) -> LabelledSample:
        """Sample number ``index`` of an endless sequence."""
