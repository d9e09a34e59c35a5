"""Images in tar files, in the layout of webdataset: any number of images in a file, beside what belongs to them."""

from __future__ import annotations

import os
import posixpath
import tarfile
import tempfile
import threading
import weakref
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, NamedTuple

from ..core.errors import InputError
from ..core.files import AnyPath, check_regular
from .finding import IMAGE_SUFFIXES, MASK_ENDING, is_tar
from .images import check_bytes
from .reading import ImageReading
from .records import check_key, folders_of
from .remote import address_of, fetch

_BLOCK = 512


class Member(NamedTuple):
    """A file in a tar: its name, where its content begins, and its size in bytes."""

    name: str
    offset: int
    size: int


class TarImages(Mapping[str, Member]):
    """The images of a tar file by their keys in it, in the order in which they lie there.

    A key is the image's name without its suffix, as in webdataset, with the folders in which it lies. Files with other
    suffixes than those of images, and those whose names begin with a dot, are passed over. A file elsewhere is copied
    to a temporary one, which is gone with this or with the process. Threads may share this, processes may not.

    Args:
        path: The file, or the address of one.

    Raises:
        OSError: It cannot be read.
        InputError: It cannot be read from elsewhere, is no tar, truncated or damaged, has no image, two of one key, one
            that is a folder of another, or a member whose name would leave its folder; file and member are named.
    """

    def __init__(self, path: AnyPath) -> None:
        address = address_of(path)
        self.path = Path(path)
        self._said = address or str(path)
        self._file = self._open(address)
        self._lock = threading.Lock()
        self._close = weakref.finalize(self, self._file.close)
        self._members, self._masks = self._index()

    def _open(self, address: str | None) -> IO[bytes]:
        if address is None:
            check_regular(self.path)
            return open(self.path, "rb")
        # Without a name: what holds it may be killed, as the processes of a training are in the end.
        file = tempfile.TemporaryFile()  # noqa: SIM115
        try:
            fetch(address, file)
        except BaseException:
            file.close()
            raise
        return file

    def _index(self) -> tuple[dict[str, Member], dict[str, Member]]:
        files = self._files()
        members: dict[str, Member] = {}
        others: Counter[str] = Counter()
        for name, member in files.items():
            stem, suffix = posixpath.splitext(name)
            if suffix.lower() not in IMAGE_SUFFIXES or name.lower().endswith(MASK_ENDING):
                others[suffix.lower()] += 1
                continue
            if stem in members:
                raise InputError(f"{self._said} has two images of the key {stem}, {members[stem].name} and {name}")
            members[stem] = member
        if not members:
            listed = ", ".join(f"{suffix or 'no suffix'} {count}" for suffix, count in others.items())
            raise InputError(f"no images in {self._said}{f' (files of other types: {listed})' if listed else ''}")
        for key in members:
            within = next((folder for folder in folders_of(key) if folder in members), None)
            if within is not None:
                raise InputError(f"{self._said} has {members[within].name} and a folder {within} with images")
        masks = {
            key: files[name]
            for key, member in members.items()
            for name in (f"{key}{MASK_ENDING}", f"{member.name}{MASK_ENDING}")
            if name in files
        }
        return members, masks

    def _files(self) -> dict[str, Member]:
        """All files by their names, but for hidden ones."""
        files: dict[str, Member] = {}
        last = None
        self._file.seek(0)
        try:
            with tarfile.open(fileobj=self._file, mode="r:") as tar:
                while (info := tar.next()) is not None:
                    tar.members.clear()  # type: ignore[attr-defined]  # it would keep them, with a kilobyte for each
                    last, name = info.name, posixpath.normpath(info.name)
                    is_hidden = any(part.startswith(".") and part != ".." for part in name.split("/"))
                    if info.isreg() and not info.issparse() and not is_hidden:
                        self._check_name(info.name, name, files)
                        files[name] = Member(name, info.offset_data, info.size)
                end = tar.offset
        except InputError:
            raise
        except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
            place = "is damaged or no tar file" if last is None else f"is truncated or damaged in its member {last}"
            raise InputError(f"{self._said} {place}: {error}") from error
        # A tar ends with empty blocks; for tarfile a damaged header is an end, too.
        self._file.seek(end)
        if self._file.read(_BLOCK) != bytes(_BLOCK):
            place = "at its beginning" if last is None else f"behind its member {last}"
            raise InputError(f"{self._said} is truncated or damaged {place}")
        return files

    def _check_name(self, given: str, name: str, files: Mapping[str, Member]) -> None:
        try:
            is_safe = check_key(name) == name
        except InputError:
            is_safe = False
        if not is_safe:
            raise InputError(f"{self._said} has a member of an unsafe name, {given!r}, which would leave its folder")
        if name in files:
            raise InputError(f"{self._said} has two members {name}")

    def read(self, key: str, reading: ImageReading | None = None) -> bytes:
        """The content of an image.

        Raises:
            KeyError: There is none of this key.
            OSError: It cannot be read.
            InputError: It is larger than any image of the largest size; file and member are named.
        """
        return self._content(self._members[key], reading)

    def read_mask(self, key: str, reading: ImageReading | None = None) -> bytes:
        """The content of an image's mask; so are the errors of `read`."""
        return self._content(self._masks[key], reading)

    def _content(self, member: Member, reading: ImageReading | None) -> bytes:
        check_bytes(member.size, self.place(member), reading)
        with self._lock:
            self._file.seek(member.offset)
            return self._file.read(member.size)

    def place(self, member: Member) -> Path:
        """What a member is called in messages."""
        return self.path / member.name

    def mask(self, key: str) -> Member | None:
        """The mask of an image, which is called as in a folder."""
        return self._masks.get(key)

    def __getitem__(self, key: str) -> Member:
        return self._members[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def __enter__(self) -> TarImages:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()


def tar_of(key: str, tars: Mapping[str, os.PathLike[str]]) -> str | None:
    """The key of the tar in which the image of a key lies; None where it is in none of these."""
    return next((folder for folder in folders_of(key) if folder in tars), None)


def is_in_tar(key: str) -> bool:
    """Whether a key is that of an image in a tar."""
    return any(is_tar(Path(folder)) for folder in folders_of(key))
