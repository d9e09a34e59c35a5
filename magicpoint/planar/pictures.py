"""The pictures of which scenes are made: drawn boards, and image files, read when they are asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray

from ..core.files import AnyPath
from ..io.finding import find_images
from ..io.images import read_image, shrink

LONGEST_SIDE = 512
"""Larger files are shrunk to this as they are read: a scene shows none larger."""

MOST_KEPT = 2**29
"""Bytes of pictures that are kept in memory; those beyond are read each time."""

Picture = NDArray[np.uint8]


class Pictures(Sequence[Picture]):
    """Pictures by number, uint8 (h, w), drawn ones before those of files; it can be sent to other processes.

    Args:
        drawn: Those that are there already.
        paths: Image files, and folders to search for images.

    Raises:
        OSError: A path cannot be read.
        InputError: There are paths, but no image.
    """

    def __init__(self, drawn: Sequence[Picture] = (), paths: Sequence[AnyPath] = ()) -> None:
        files = find_images(paths) if paths else {}
        self._drawn, self._paths = tuple(drawn), list(files.values())
        self.names = (*(f"board {number}" for number in range(len(self._drawn))), *files)
        self._kept: dict[int, Picture] = {}
        self._room = MOST_KEPT

    @property
    def digest(self) -> str:
        """Tells one set of pictures from another: SHA-256 over those that are drawn, and the files' names and sizes."""
        digest = hashlib.sha256()
        for picture in self._drawn:
            digest.update(picture.tobytes())
        for name, path in zip(self.names[len(self._drawn) :], self._paths, strict=True):
            digest.update(f"{name} {path.stat().st_size}".encode())
        return digest.hexdigest()

    def split(self, share: float) -> tuple[Pictures, Pictures]:
        """Those to train on and those held out: of each the name alone decides it, so that it stays where it is when
        others come or go.

        At least one is on each side; a single picture is on both.
        """
        if len(self) < 2:
            return self, self
        places = [int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) / 2**32 for name in self.names]
        order = sorted(range(len(self)), key=places.__getitem__)
        count = min(max(1, sum(place < share for place in places)), len(self) - 1)
        return self._chosen(sorted(order[count:])), self._chosen(sorted(order[:count]))

    def _chosen(self, numbers: Sequence[int]) -> Pictures:
        chosen, drawn = Pictures(), len(self._drawn)
        chosen._drawn = tuple(self._drawn[number] for number in numbers if number < drawn)
        chosen._paths = [self._paths[number - drawn] for number in numbers if number >= drawn]
        chosen.names = tuple(self.names[number] for number in numbers)
        return chosen

    def __len__(self) -> int:
        return len(self._drawn) + len(self._paths)

    @overload
    def __getitem__(self, index: int) -> Picture: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Picture]: ...

    def __getitem__(self, index: int | slice) -> Picture | Sequence[Picture]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"there are {len(self)} pictures, not a number {index}")
        number = index % len(self)
        if number < len(self._drawn):
            return self._drawn[number]
        if number not in self._kept:
            grey = shrink(read_image(self._paths[number - len(self._drawn)]), LONGEST_SIDE)
            picture = np.rint(grey * 255).astype(np.uint8)
            if picture.nbytes > self._room:
                return picture
            self._room -= picture.nbytes
            self._kept[number] = picture
        return self._kept[number]

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_kept": {}, "_room": MOST_KEPT}
