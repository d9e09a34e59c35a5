"""Standard output and error that may be closed, broken or full, or know few letters: no run fails of that.

What a verb makes is in its files before anything is said about it, so a result that nobody can read is still there.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from typing import Any

_NOBODY_READS = {errno.EPIPE, errno.EBADF, errno.EINVAL}  # EINVAL: on Windows a broken pipe may be that


class PatientStream:
    """A stream of text whose writing never raises an error; it has the attributes of the one that it stands for.

    Args:
        stream: None, as Python has it for a closed one, or a stream.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.error: OSError | None = None
        """The first error, after which nothing is written any more."""

    def write(self, text: str) -> int:
        """What the stream's encoding does not have is written as `\\xe9` or `\\u56fe`."""
        self._try("write", text)
        return len(text)

    def flush(self) -> None:
        self._try("flush")

    def isatty(self) -> bool:
        return self._stream is not None and bool(self._stream.isatty())

    def writable(self) -> bool:
        return True

    def _try(self, name: str, *words: str) -> None:
        if self._stream is None or self.error is not None:
            return
        try:
            try:
                getattr(self._stream, name)(*words)
            except UnicodeEncodeError:
                encoding = self._stream.encoding or "ascii"
                known = [word.encode(encoding, "backslashreplace").decode(encoding) for word in words]
                getattr(self._stream, name)(*known)
        except OSError as error:
            self.error = error
        except ValueError:  # it is closed
            self.error = OSError(errno.EBADF, os.strerror(errno.EBADF))

    @property
    def is_full(self) -> bool:
        """Whether something was written that somebody wanted and that found no place."""
        self.flush()
        return self.error is not None and self.error.errno not in _NOBODY_READS

    def let_go(self) -> None:
        """Sees to it that Python does not try again at its end what the stream still holds."""
        self.flush()
        if self.error is not None:
            with contextlib.suppress(OSError, ValueError, AttributeError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self._stream.fileno())
                os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def patient_streams() -> Iterator[None]:
    """Makes the standard output and error such streams for this block, and says on the second if the first is full."""
    _fill_closed()
    out, err = sys.stdout, sys.stderr
    said, warned = PatientStream(out), PatientStream(err)
    sys.stdout, sys.stderr = said, warned
    try:
        yield
    finally:
        said.let_go()
        if said.error is not None and said.is_full:
            warned.write(f"magicpoint: the standard output cannot be written: {said.error.strerror or said.error}\n")
        warned.let_go()
        sys.stdout, sys.stderr = out, err


def _fill_closed() -> None:
    """Opens what is closed of the first three files, to nowhere: an output would get its number, and with it all that
    libraries have to say."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            with contextlib.suppress(OSError):
                opened = os.open(os.devnull, os.O_RDWR)
                if opened != number:
                    os.dup2(opened, number)
                    os.close(opened)
