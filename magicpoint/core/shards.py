"""A share of a list of work, by which several processes do one job, and the names of the files that each writes."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from .errors import InputError
from .files import AnyPath

MOST_SHARDS = 99_999
"""Five digits are in the name of a file."""

_NAME = re.compile(r"(?P<stem>.+)-(?P<number>[0-9]{5})-of-(?P<count>[0-9]{5})", re.DOTALL)


@dataclass(frozen=True)
class Shard:
    """One of several shares of a job.

    Args:
        number: Which, counted from 0.
        count: How many there are.
    """

    number: int
    count: int

    def __post_init__(self) -> None:
        if not 0 < self.count <= MOST_SHARDS or not 0 <= self.number < self.count:
            last = f"{self.count - 1}/{self.count}" if 0 < self.count <= MOST_SHARDS else f"15/16, of {MOST_SHARDS}"
            first = f"0/{self.count}" if 0 < self.count <= MOST_SHARDS else "0/16"
            raise InputError(f"shard must be from {first} to {last} at most, got {self.number}/{self.count}")

    @classmethod
    def parse(cls, text: str) -> Shard:
        """The share that is written as 3/16.

        Raises:
            InputError: It is not written so, or there is no such share.
        """
        written = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
        if written is None:
            raise InputError(f"shard must be a number of how many, counted from 0, such as 3/16, got {text}")
        return cls(int(written[1]), int(written[2]))

    @classmethod
    def of_process(cls) -> Shard | None:
        """That of this process, where `torchrun` or its like started several; None where it is the only one."""
        rank, world = process_rank()
        return cls(rank, world) if world > 1 else None

    def has(self, key: str) -> bool:
        """Whether the work of this key belongs to the share."""
        return number_of(key, self.count) == self.number

    def name(self, name: str) -> str:
        """What a file of this name is called in the share: labels.h5 is labels-00003-of-00016.h5."""
        path = Path(name)
        return f"{path.stem}-{self.number:05d}-of-{self.count:05d}{path.suffix}"

    def path(self, out: AnyPath, name: str) -> Path:
        """The file that the share writes where `out` is asked for.

        Args:
            out: A file, beside which it is; or a folder, which is there or has no suffix, in which it is.
            name: The name of the file in a folder.
        """
        out = Path(out)
        if out.is_dir() or not out.suffix:
            return out / self.name(name)
        return out.with_name(self.name(out.name))

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def number_of(key: str, count: int) -> int:
    """Which of so many shares the work of a key belongs to: its hash alone decides it, on every machine."""
    digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") % count


def process_rank() -> tuple[int, int]:
    """The number of this process and how many there are, as `torchrun` and its like say it; (0, 1) without them."""
    try:
        rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    except (KeyError, ValueError):
        return 0, 1
    return (rank, world) if 0 <= rank < world else (0, 1)


def shard_of(path: Path) -> tuple[str, Shard] | None:
    """The name of the whole and the share that a file's name says; None where it says none."""
    found = _NAME.fullmatch(path.stem)
    if found is None:
        return None
    number, count = int(found["number"]), int(found["count"])
    return (found["stem"] + path.suffix, Shard(number, count)) if number < count else None
