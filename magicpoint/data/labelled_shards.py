"""Labelled images in shards, of any number: no index of them all is kept, only that of the shards in use."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from synthetic_shapes.sample import sample_generator

from ..core.errors import InputError
from ..core.files import AnyPath
from ..core.types import Labels
from ..io.labels import LABELS
from ..io.record_shards import ShardSet, check_same_settings
from ..io.records import RecordFile
from ..io.remote import address_of
from .labelled_images import LEAST_HELD_OUT, MOST_HELD_OUT, LabelledImages, digest_of_records, is_held_out

OPEN_SHARDS = 2
"""A batch can begin in one and end in the next."""


class LabelledShards(LabelledImages):
    """The images of shards of labels, under a folder to which their keys are the paths.

    They are numbered shard by shard. An image is looked for when its turn comes, not before.

    Args:
        root: The folder, or an address to which keys can be added.
        shards: All of them.
        certain_score: See `LabelledImages`.

    Raises:
        InputError: A shard is missing, damaged or of other settings than another; there is no label or no keypoint; or
            the first image is not in the folder.
    """

    def __init__(self, root: AnyPath, shards: ShardSet, certain_score: float = 0.0) -> None:
        shards.check_complete()
        self._root, self._certain_score, self._whole = Path(root), certain_score, shards.whole
        self._files = [path for _, path in sorted(shards.files.items())]
        self._remember()
        digest, counts, has_keypoints = hashlib.sha256(), [], False
        parts: list[list[int]] = []
        first: RecordFile[Labels] | None = None
        for file in self._files:
            records = RecordFile(file, LABELS)
            if first is None or not len(first):
                first = records
            check_same_settings(first, records)
            digest.update(f"{digest_of_records(records, records)} {len(records)}\n".encode())
            counts.append(len(records))
            parts.append(self._sizes_of_parts(records))
            has_keypoints = has_keypoints or any(records.keypoint_counts().values())
        assert first is not None
        if not has_keypoints:
            raise InputError(f"{shards} have no keypoint on any of their {sum(counts)} images: nothing can be learnt")
        key = next(iter(first))
        self._check_is_there(key, first.path)
        self._ends, self._digest = np.cumsum(counts), digest.hexdigest()
        self._ends_of_parts = np.cumsum([size for sizes in parts for size in sizes])
        self._parts_of_shards = [len(sizes) for sizes in parts]

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in vars(self).items() if name != "_open"}

    def __setstate__(self, state: dict[str, object]) -> None:
        vars(self).update(state)
        self._remember()

    def _remember(self) -> None:
        """Keeps what was opened last; not sent between processes."""
        self._open = functools.lru_cache(OPEN_SHARDS)(self._open_shard)

    def _sizes_of_parts(self, records: RecordFile[Labels]) -> list[int]:
        """The numbers of images in the parts of a shard that are to be read one after the other."""
        return [len(records)]

    def _path_of(self, key: str) -> Path:
        return self._root / key

    def _check_is_there(self, key: str, labels: AnyPath) -> None:
        path = self._path_of(key)
        if address_of(path) is None and not path.is_file():
            raise InputError(f"{labels} labels {key}, which is not in {self._root}: give the folder as adapt got it")

    def _open_shard(self, number: int) -> tuple[RecordFile[Labels], list[str]]:
        records = RecordFile(self._files[number], LABELS)
        return records, list(records)

    @property
    def path(self) -> Path:
        return self._whole

    @property
    def digest(self) -> str:
        """SHA-256 over the shards, by the keys and checksums of each."""
        return self._digest

    def is_of(self, digest: str) -> bool:
        return digest == self._digest

    def __len__(self) -> int:
        return int(self._ends[-1])

    def key(self, index: int) -> str:
        return self._locate(index)[0]

    def _locate(self, index: int) -> tuple[str, Path, RecordFile[Labels]]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        number = int(np.searchsorted(self._ends, index, side="right"))
        records, keys = self._open(number)
        key = keys[index - self._starts[number]]
        return key, self._path_of(key), records

    @property
    def _starts(self) -> NDArray[np.int64]:
        return np.concatenate(([0], self._ends[:-1]))

    def split(self) -> tuple[Sequence[int], Sequence[int]]:
        """As many as `LabelledImages.split` holds out, of the first part that has as many."""
        if len(self) == 1:
            return range(1), range(1)
        sizes = np.diff(self._ends_of_parts, prepend=0)
        wanted = min(MOST_HELD_OUT, max(LEAST_HELD_OUT, round(0.05 * len(self))), max(1, len(self) // 4))
        number = next((n for n, size in enumerate(sizes) if size >= wanted), int(sizes.argmax()))
        count, start = min(wanted, int(sizes[number])), int(self._ends_of_parts[number] - sizes[number])
        drawn = sample_generator(0, "held out", 0).permutation(int(sizes[number]))[:count] + start
        held_out = np.sort(drawn)
        return AllBut(len(self), held_out), held_out.tolist()

    def split_by_name(self, share: float) -> tuple[Sequence[int], Sequence[int]]:
        if len(self) < 2:
            raise InputError(f"{self._whole} labels {len(self)} image: two are needed, one of them to judge")
        keys = (key for file in self._files for key in RecordFile(file, LABELS))
        held_out = np.flatnonzero(np.fromiter((is_held_out(key, share) for key in keys), bool, len(self)))
        if not 0 < len(held_out) < len(self):
            held_out = np.arange(1) if not len(held_out) else held_out[:-1]
        return AllBut(len(self), held_out), held_out.tolist()

    def order(self, indices: Sequence[int], seed: int) -> ShardOrder:
        if not isinstance(indices, AllBut | range):
            raise TypeError(f"of shards all images or all but some are taken, got {indices!r:.80}")
        left_out = indices.left_out if isinstance(indices, AllBut) else np.empty(0, np.int64)
        return ShardOrder(self._ends_of_parts, left_out, seed, self._parts_of_shards)


class AllBut(Sequence[int]):
    """The numbers below a count without some, which alone are kept."""

    def __init__(self, whole: int, left_out: NDArray[np.int64]) -> None:
        self.whole, self.left_out = whole, left_out

    def __len__(self) -> int:
        return self.whole - len(self.left_out)

    def __iter__(self) -> Iterator[int]:
        without = set(self.left_out.tolist())
        return (number for number in range(self.whole) if number not in without)

    @overload
    def __getitem__(self, place: int) -> int: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[int]: ...

    def __getitem__(self, place: int | slice) -> int | Sequence[int]:
        # Below the n-th number that stays lie as many of those left out as are at most n + their own place.
        wanted = range(len(self))[place]
        own = self.left_out - np.arange(len(self.left_out))
        if isinstance(wanted, range):
            return [each + int(np.searchsorted(own, each, side="right")) for each in wanted]
        return wanted + int(np.searchsorted(own, wanted, side="right"))


class ShardOrder:
    """Images over and over: each time the shards in another order, and in each its images in another order.

    So one after the other is read, and which image comes when is a function of seed and number alone.

    Args:
        ends: For each part the number of the first image after it.
        left_out: Numbers of images that do not come.
        seed: Decides the orders.
        parts: For each shard the number of its parts, which come one after the other, in another order each time, too;
            None: a part is a shard.
    """

    def __init__(
        self, ends: NDArray[np.int64], left_out: NDArray[np.int64], seed: int, parts: Sequence[int] | None = None
    ) -> None:
        self._ends, self._left_out, self._seed = ends, left_out, seed
        starts = np.concatenate(([0], ends[:-1]))
        self._sizes = ends - starts - np.array([len(self._within(*pair)) for pair in zip(starts, ends, strict=True)])
        self._shards = np.split(np.arange(len(ends)), np.cumsum([1] * len(ends) if parts is None else parts)[:-1])
        self._round = functools.lru_cache(2)(self._order_of_parts)
        self._now: tuple[int, int] = (-1, -1)
        self._images: NDArray[np.int64] = np.empty(0, np.int64)

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in vars(self).items() if name != "_round"}

    def __setstate__(self, state: dict[str, object]) -> None:
        vars(self).update(state)
        self._round = functools.lru_cache(2)(self._order_of_parts)

    def _within(self, start: int, end: int) -> NDArray[np.int64]:
        first, last = np.searchsorted(self._left_out, [start, end])
        return self._left_out[first:last]

    def _order_of_parts(self, epoch: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The parts in the order of a round, and for each the number of images up to its end."""
        rng = sample_generator(self._seed, "shards", epoch)
        shards = rng.permutation(len(self._shards))
        parts = np.concatenate([rng.permutation(self._shards[shard]) for shard in shards])
        return parts, np.cumsum(self._sizes[parts])

    def __getitem__(self, number: int) -> int:
        epoch, place = divmod(number, int(self._sizes.sum()))
        parts, ends = self._round(epoch)
        turn = int(np.searchsorted(ends, place, side="right"))
        part = int(parts[turn])
        if self._now != (epoch, part):
            start = 0 if part == 0 else int(self._ends[part - 1])
            own = np.setdiff1d(np.arange(start, int(self._ends[part])), self._within(start, int(self._ends[part])))
            rng = sample_generator(self._seed, "order in a shard", epoch * len(self._sizes) + part)
            self._now, self._images = (epoch, part), rng.permutation(own)
        return int(self._images[place - (int(ends[turn - 1]) if turn else 0)])
