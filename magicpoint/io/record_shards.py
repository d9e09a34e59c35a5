"""Files of records in shards: found by their names, and read as one file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ..core.errors import InputError
from ..core.files import AnyPath
from ..core.going_on import check_goes_on
from ..core.outputs import ADVICE
from ..core.shards import Shard, shard_of
from .record_index import read_index
from .records import Layout, Record, RecordFile, decoded_provenance

_REPORT = ".json"
"""Beside the labels of a share lies their report."""


@dataclass(frozen=True)
class ShardSet:
    """The files of one whole that was made in shares.

    Args:
        whole: The file that they would be together; it need not be there.
        count: How many there are to be.
        files: Those that are there, by number.
    """

    whole: Path
    count: int
    files: Mapping[int, Path]

    @property
    def missing(self) -> list[Path]:
        """Those that are not there."""
        return [self.path(number) for number in range(self.count) if number not in self.files]

    def check_complete(self, advice: str = "make them first; magicpoint check says what is in the others") -> None:
        """Refuses a set of which a file is not there.

        Raises:
            InputError: One is missing; it is named.
        """
        if self.missing:
            named = ", ".join(path.name for path in self.missing[:3])
            raise InputError(f"{self} lacks {len(self.missing)} of {self.count} shards ({named}): {advice}")

    def path(self, number: int) -> Path:
        """The file of a share."""
        return self.whole.with_name(Shard(number, self.count).name(self.whole.name))

    def __str__(self) -> str:
        return f"{self.whole.with_name(f'{self.whole.stem}-*-of-{self.count:05d}{self.whole.suffix}')}"


def find_shards(path: AnyPath, layout: Layout[Any] | None = None) -> ShardSet | None:
    """The shards in a folder, or those of a file that is not there itself; None where there is none.

    Args:
        path: The folder or the file.
        layout: Of several sets in a folder take that whose files are of this layout.

    Raises:
        InputError: There are several sets; two are named.
    """
    path = Path(path)
    if path.is_dir():
        sets = [each for each in _sets_in(path) if each.whole.suffix != _REPORT]
        if len(sets) > 1 and layout is not None:
            sets = [each for each in sets if _is_of(next(iter(each.files.values())), layout)]
    elif not path.exists() and path.parent.is_dir():
        sets = [each for each in _sets_in(path.parent) if each.whole == path]
    else:
        return None
    return _the_only(sets, path)


def find_json_shards(folder: AnyPath, name: str) -> ShardSet | None:
    """The shards of a JSON file of this name in a folder, whether it is there itself or not; None where there is none.

    Raises:
        InputError: There are several sets; two are named.
    """
    folder = Path(folder)
    sets = [each for each in _sets_in(folder) if each.whole.name == name] if folder.is_dir() else []
    return _the_only(sets, folder)


def _the_only(sets: Sequence[ShardSet], path: Path) -> ShardSet | None:
    if len(sets) > 1:
        raise InputError(
            f"{path} holds several sets of shards, {sets[0]} and {sets[1]}: name one, as {sets[0].whole}, and keep one "
            "set of each name"
        )
    return sets[0] if sets else None


def _sets_in(folder: Path) -> list[ShardSet]:
    found: dict[tuple[Path, int], dict[int, Path]] = {}
    for path in sorted(folder.iterdir()):
        named = shard_of(path)
        if named is not None and not path.name.startswith(".") and path.is_file():
            name, shard = named
            found.setdefault((folder / name, shard.count), {})[shard.number] = path
    return [ShardSet(*key, files) for key, files in found.items()]


def _is_of(path: Path, layout: Layout[Any]) -> bool:
    try:
        index = read_index(path)
    except (OSError, InputError):
        return False
    return index is not None and index.format == layout.format


def open_records(path: AnyPath, layout: Layout[Record]) -> RecordFile[Record]:
    """Open a file of records, a folder of shards, or the file that shards would be together.

    Raises:
        FileNotFoundError: There is no such file.
        InputError: It is damaged or of another layout; or a shard is missing, holds the image of another, or was made
            with other settings.
    """
    shards = find_shards(path, layout)
    if shards is None:
        if Path(path).is_dir():
            raise InputError(f"{path} is a folder without shards of a {layout.name}, such as labels-00000-of-00002.h5")
        return RecordFile(path, layout)
    shards.check_complete()
    return ShardedRecords(shards, layout)


class ShardedRecords(RecordFile[Record]):
    """The records of a whole set of shards, as those of one file."""

    def __init__(self, shards: ShardSet, layout: Layout[Record]) -> None:
        """Opens them.

        Raises:
            InputError: One is damaged, was made with other settings than another, or has an image of another.
        """
        self.path, self.files = shards.whole, [RecordFile(path, layout) for _, path in sorted(shards.files.items())]
        self.provenance = self.files[0].provenance
        self.skipped = dict(sorted((key, why) for file in self.files for key, why in file.skipped.items()))
        places: dict[str, RecordFile[Record]] = {}
        for file in self.files:
            check_same_settings(self.files[0], file)
            twice = next((key for key in file if key in places), None)
            if twice is not None:
                raise InputError(f"{places[twice].path} and {file.path} both hold {twice}: {ADVICE}")
            places.update(dict.fromkeys(file, file))
        self._places = dict(sorted(places.items()))

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __contains__(self, key: object) -> bool:
        return key in self._places

    def __getitem__(self, key: str) -> Record:
        return self._places[key][key]

    def arrays(self, key: str) -> dict[str, NDArray[Any]]:
        return self._places[key].arrays(key)

    def image_size(self, key: str) -> tuple[int, int]:
        return self._places[key].image_size(key)

    def digest(self, key: str) -> str | None:
        return self._places[key].digest(key)

    def checksum(self, key: str) -> int | None:
        return self._places[key].checksum(key)

    def keypoint_counts(self) -> dict[str, int]:
        counts = {key: count for file in self.files for key, count in file.keypoint_counts().items()}
        return {key: counts[key] for key in self._places}


def check_same_settings(first: RecordFile[Any], other: RecordFile[Any]) -> None:
    """Refuses files that do not belong together.

    Raises:
        InputError: They were made with other weights, settings or versions; both files and what differs are named.
    """
    old, new = decoded_provenance(first.provenance), decoded_provenance(other.provenance)
    check_goes_on(
        f"{first.path} and {other.path} were made",
        old,
        new,
        "make one of them anew",
        "weights, settings or versions",
        in_words=("in the first", "in the second"),
    )
