"""Where samples come from: rendered shapes, stored datasets; `labelled_images` has photographs."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from synthetic_shapes import Sample, ShapeSettings, render_sample
from synthetic_shapes.sample import sample_generator

from ..core.errors import InputError
from .samples import TrainingSample, certain_sample


class Source(Protocol):
    """Where samples come from; spawn-safe, so picklable. The images may differ in size."""

    @property
    def digest(self) -> str:
        """Tells one content from another."""

    def sample(self, index: int) -> TrainingSample:
        """Sample number `index` of an endless sequence."""


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
            for array in render_sample(self.seed, index, self.settings):
                digest.update(array.tobytes())
        return digest.hexdigest()

    def sample(self, index: int) -> TrainingSample:
        return certain_sample(*render_sample(self.seed, index, self.settings))


class StoredDataset(Protocol):
    """A sequence of samples, as `synthetic_shapes.ShapesDataset` is."""

    @property
    def digest(self) -> str: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...


class Order(Protocol):
    """Which of some images comes when, without end."""

    def __getitem__(self, number: int) -> int: ...


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
            raise InputError("the dataset has no samples")
        self._dataset, self._order = dataset, ShuffledIndices(range(len(dataset)), seed)
        self.digest = dataset.digest

    def sample(self, index: int) -> TrainingSample:
        return certain_sample(*self._dataset[self._order[index]])
