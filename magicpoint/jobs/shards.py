"""Shards of one job: joined to one file, and looked at for what they lack."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..adaptation.summary import summarise_labels
from ..core.errors import InputError
from ..core.files import AnyPath, remove_leftovers_of, target_of, write_text
from ..core.locks import locked
from ..core.outputs import check_own
from ..core.plain import json_text
from ..core.shards import Shard, number_of
from ..io.earlier import Earlier
from ..io.features import FEATURES
from ..io.finding import find_images, is_tar
from ..io.labels import LABELS, read_labels
from ..io.record_shards import ShardedRecords, ShardSet, check_same_settings, find_shards
from ..io.records import Layout, RecordFile, folders_of
from ..io.tars import TarImages
from ..io.unfinished import UnfinishedRecords
from .adapt import is_label_report
from .extract import LAYOUTS

_LAYOUTS: tuple[Layout[Any], ...] = (LABELS, FEATURES, *(each for each in LAYOUTS.values() if each is not FEATURES))


@dataclass(frozen=True)
class MergeResult:
    """What a merge came to.

    Args:
        path: The file.
        kind: What it is.
        shards: Of how many shards it was made.
        images: Number of images, or frames, in it.
        skipped: Number of images that could not be read, as the shards say.
    """

    path: Path
    kind: str
    shards: int
    images: int
    skipped: int


def format_merge(result: MergeResult) -> str:
    """The result in one line."""
    return f"{result.path}: {result.kind} of {result.images} images from {result.shards} shards"


def merge_shards(folder: AnyPath, out: AnyPath) -> MergeResult:
    """Join the shards of labels or features to the one file that a single process would have written.

    Args:
        folder: The folder of the shards, or the file that they would be together, which is not there.
        out: The file to write; one of the same images and settings is replaced when the new one is complete. Beside
            labels goes their report.

    Raises:
        FileNotFoundError: There are no shards.
        OSError: A file cannot be written.
        InputError: A shard is missing, damaged, of another layout, or was made with other settings than its neighbours,
            which are both named; an image is in two; or `out` is something else.
    """
    shards, layout = _find(folder)
    shards.check_complete()
    records: ShardedRecords[Any] = ShardedRecords(shards, layout)
    out = Path(out)
    report = out.with_suffix(".json") if layout is LABELS else None
    if report is not None:
        if report == out:
            raise InputError(
                f"the report would replace the labels {out}: choose another suffix than .json, such as .h5"
            )
        check_own([report], "a report of labels", is_label_report)
    with locked(out):
        remove_leftovers_of(target_of(out))
        unfinished = UnfinishedRecords(out, layout, records.provenance)
        Earlier(unfinished.earlier, dict.fromkeys(records, out))
        unfinished.take(records)
        unfinished.finish(list(records), records.skipped)
        if report is not None:
            write_text(report, json_text(summarise_labels(read_labels(out))))
    return MergeResult(out, layout.name, shards.count, len(records), len(records.skipped))


@dataclass(frozen=True)
class CheckedShard:
    """What a shard is like.

    Args:
        path: The file, which need not be there.
        is_there: Whether it is.
        images: Number of images, or frames, in it.
        skipped: Number of images that it says could not be read.
        lacks: Keys of the images that it should have and has not.
        foreign: Keys of the images that it has and should not: of another shard, or of none that is asked for.
        fault: Why it cannot be read, or does not belong to the others; None where nothing is wrong with it.
    """

    path: Path
    is_there: bool
    images: int
    skipped: int
    lacks: tuple[str, ...]
    foreign: tuple[str, ...]
    fault: str | None

    @property
    def is_right(self) -> bool:
        """Whether it is there and has what it should."""
        return self.is_there and not self.lacks and not self.foreign and self.fault is None


@dataclass(frozen=True)
class CheckResult:
    """Whether every image is there exactly once.

    Args:
        shards: Each, in their order; a file that is no shard is one alone.
        asked: Number of images that were to be there; None where it was not said.
        twice: Keys of images that are in two shards.
    """

    shards: tuple[CheckedShard, ...]
    asked: int | None
    twice: tuple[str, ...]

    @property
    def is_complete(self) -> bool:
        """Whether nothing is wrong."""
        return not self.twice and all(shard.is_right for shard in self.shards)


def check_shards(path: AnyPath, images: Sequence[AnyPath] = (), root: AnyPath | None = None) -> CheckResult:
    """Look whether shards have every image exactly once, each in its shard; no record is read.

    Of tar files all names are read.

    Args:
        path: A folder of shards, the file that they would be together, or a file of records.
        images: What they were made of, as it was given to `extract` or `adapt`; nothing: only what is there is looked
            at.
        root: The folder from which the keys are paths, as it was given.

    Raises:
        FileNotFoundError: There is nothing.
        InputError: It is nothing of the kind, or a tar file is damaged.
    """
    keys = _owners(images, root) if images else None
    if Path(path).is_file():
        shards, layout = ShardSet(Path(path), 1, {0: Path(path)}), _layout_of([Path(path)])
    else:
        shards, layout = _find(path)
    checked: list[CheckedShard] = []
    first: RecordFile[Any] | None = None
    times: Counter[str] = Counter()
    for number in range(shards.count):
        own = None if keys is None else {key for key, of in keys.items() if number_of(of, shards.count) == number}
        file = shards.files.get(number)
        if file is None:
            checked.append(CheckedShard(shards.path(number), False, 0, 0, tuple(sorted(own or ())), (), None))
            continue
        try:
            records: RecordFile[Any] = RecordFile(file, layout)
            first = first or records
            check_same_settings(first, records)
        except (OSError, InputError) as error:
            checked.append(CheckedShard(file, True, 0, 0, (), (), str(error)))
            continue
        times.update(list(records))
        checked.append(_look_at(records, own, Shard(number, shards.count)))
    twice = tuple(key for key, count in times.items() if count > 1)
    return CheckResult(tuple(checked), None if keys is None else len(keys), twice)


def _owners(images: Sequence[AnyPath], root: AnyPath | None) -> dict[str, str]:
    """For the key of each image the one whose hash decides its share: its own, or that of its tar file."""
    owners: dict[str, str] = {}
    for key, path in find_images(images, root=root, tars=True).items():
        if is_tar(path):
            with TarImages(path) as tar:
                owners.update((f"{key}/{name}", key) for name in tar)
        else:
            owners[key] = key
    return owners


def _look_at(records: RecordFile[Any], own: set[str] | None, shard: Shard) -> CheckedShard:
    """What a shard has of its own images; None: of those whose keys belong to it."""
    found, foreign = set(records.skipped), []
    for key in records:
        # The frames of a video have keys of their own in its shard.
        owner = next(
            (each for each in (key, *folders_of(key)) if (shard.has(each) if own is None else each in own)), None
        )
        if owner is None:
            foreign.append(key)
        else:
            found.add(owner)
    lacks = tuple(sorted((own or set()) - found))
    return CheckedShard(records.path, True, len(records), len(records.skipped), lacks, tuple(foreign), None)


def format_check(result: CheckResult) -> str:
    """A line for each shard with something to say, and one for all."""
    lines = []
    for shard in result.shards:
        said = []
        if not shard.is_there:
            of = f", and with it {len(shard.lacks)} images" if result.asked is not None else ""
            said.append(f"is missing{of}")
        elif shard.lacks:
            said.append(f"lacks {_some(shard.lacks)}")
        if shard.foreign:
            said.append(f"has what belongs elsewhere: {_some(shard.foreign)}")
        if shard.fault is not None:
            said.append(shard.fault)
        if said:
            lines.append(f"{shard.path.name} {'; '.join(said)}")
    if result.twice:
        lines.append(f"in two shards: {_some(result.twice)}")
    images, skipped = (sum(getattr(shard, name) for shard in result.shards) for name in ("images", "skipped"))
    there = sum(shard.is_there for shard in result.shards)
    of = "" if result.asked is None else f"; {result.asked} are asked for"
    lines.append(f"{there} of {len(result.shards)} shards with {images} images, {skipped} skipped{of}")
    return "\n".join(lines)


def _some(keys: Sequence[str]) -> str:
    listed = ", ".join(keys[:3])
    return f"{len(keys)} ({listed}{', ...' if len(keys) > 3 else ''})"


def _find(folder: AnyPath) -> tuple[ShardSet, Layout[Any]]:
    shards = find_shards(folder)
    if shards is None:
        raise FileNotFoundError(f"no shards in {folder}: they are called labels-00000-of-00002.h5 and so on")
    return shards, _layout_of(shards.files.values())


def _layout_of(paths: Iterable[Path]) -> Layout[Any]:
    """That of the first file that can be read."""
    refused = []
    for path in paths:
        for layout in _LAYOUTS:
            try:
                RecordFile(path, layout)
                return layout
            except InputError as error:
                refused.append(error)
    named = [error for error in refused if "of format" not in str(error)]
    raise (named or refused)[0]
