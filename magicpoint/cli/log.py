"""What the package has to say while it works, on the standard error."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import metadata

from tqdm import tqdm

_LOG = logging.getLogger(__name__)


class _AboveBars(logging.Handler):
    """Writes plain lines above the progress bars."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            tqdm.write(self.format(record), file=sys.stderr)
        except Exception:
            self.handleError(record)


_FLAVOURS = ("opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless")


def warn_of_two_flavours() -> None:
    """Says where several packages are installed that all are `cv2`, each with its files over the others'."""
    found = []
    for name in _FLAVOURS:
        with suppress(metadata.PackageNotFoundError):
            found.append(f"{name} {metadata.version(name)}")
    if len(found) > 1:
        _LOG.warning("several flavours of OpenCV are installed (%s): keep one, see Getting started", ", ".join(found))


@contextmanager
def log_to_stderr(level: int = logging.INFO) -> Iterator[None]:
    """Shows what the loggers of `magicpoint` say, from a level on."""
    logger, handler = logging.getLogger("magicpoint"), _AboveBars()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
