"""Files on other machines, by addresses such as https://host/a.jpg or s3://bucket/a.tar, read through fsspec."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from ..core.errors import InputError, MissingPackageError
from ..core.files import AnyPath

CONNECT_SECONDS, SILENT_SECONDS = 30.0, 60.0
"""How long a server of the web may take to answer at all, and between two pieces of what it sends."""

# A `Path` keeps one of the two slashes. A single letter is a drive of Windows.
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/{1,2}([^/].*)", re.DOTALL)


def address_of(path: AnyPath) -> str | None:
    """The address that a path stands for, also one that a `Path` was made of; None of a path on this machine."""
    found = _ADDRESS.fullmatch(Path(path).as_posix())
    return None if found is None or found[1].lower() == "file" else f"{found[1]}://{found[2]}"


def read_address(address: str, most: int) -> bytes:
    """The content of a file elsewhere, of which no more than so many bytes and one are read.

    Raises:
        InputError: It cannot be read; the message names it.
        MissingPackageError: A package for such addresses is not installed.
    """
    with _opened(address) as file:
        return bytes(file.read(most + 1))


def fetch(address: str, to: IO[bytes]) -> None:
    """Writes the content of a file elsewhere to a file.

    Raises:
        InputError: It cannot be read; the message names it.
        MissingPackageError: A package for such addresses is not installed.
    """
    with _opened(address) as file:
        shutil.copyfileobj(file, to, 2**20)


@contextlib.contextmanager
def _opened(address: str) -> Iterator[IO[bytes]]:
    try:
        import fsspec

        with fsspec.open(address, "rb", **_options(address)) as file:
            yield file
    except ImportError as error:
        raise MissingPackageError(
            f"{address} cannot be read without a further package ({error}); pip install 'magicpoint[remote]' brings "
            "what http and https need"
        ) from error
    except Exception as error:  # each kind of server has errors of its own
        raise InputError(f"{address} cannot be read: {type(error).__name__}: {error}") from error


def _options(address: str) -> dict[str, Any]:
    if not address.lower().startswith(("http://", "https://")):
        return {}
    import aiohttp

    # By default a file has five minutes in all, which a large one may need more of, and proxies are not asked.
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENT_SECONDS)
    return {"client_kwargs": {"timeout": timeout, "trust_env": True}}
