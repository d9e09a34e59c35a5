"""A stage that turns each image of a list into a record: skips what is no image, and goes on after a stop.

Files are read and decoded by threads while the network works on the images before them, on several side by side where
that is faster; OpenCV and NumPy let other threads run meanwhile. The network still sees one image at a time: batches
would gain 3 to 11 % on a CPU, and an image would no longer give the same bits alone and among others, so images are not
sorted by size either.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ..core.errors import InputError
from ..core.memory import is_out_of_memory
from ..core.side_by_side import side_by_side
from .earlier import Earlier, Outcome
from .finding import is_tar
from .grey import GreyImage
from .reading import ImageReading
from .stamps import Stamps
from .stream import Loaded, Remarks, is_video, load_images
from .unfinished import UnfinishedRecords

Record = TypeVar("Record")
Grey = NDArray[np.float32]

_LOG = logging.getLogger(__name__)


def process_images(
    images: Mapping[str, Path],
    unfinished: UnfinishedRecords[Record],
    process: Callable[[str, GreyImage], Record],
    draw: Callable[[str, Grey, Record], object] | None = None,
    progress: bool = True,
    videos: bool = False,
    reading: ImageReading | None = None,
    masks: Mapping[str, Path] | None = None,
    append: bool = False,
    prune: bool = False,
    is_share: bool = False,
    workers: int = 1,
) -> Outcome:
    """Make the records of images and join them to one file.

    An image that cannot be read, or for which there is not enough memory, keeps the record that it had; one that had
    none is listed in the file and left out. The log says so. Of a truncated video the frames up to there are made. An
    earlier file is replaced when the new one is complete.

    Args:
        images: Keys and paths, as from `io.finding.find_images`. Of a tar file the images in it are taken, under the
            keys KEY/NAME with their names in it, without suffixes; one that is damaged ends the job.
        unfinished: Where the records are kept; those that it has are not made again.
        process: Makes the record of an image from its key and what was read.
        draw: Is called with each image and its record, made now or before.
        progress: Show a progress bar on the standard error.
        videos: Take a path with one of `io.video.VIDEO_SUFFIXES` for the images that are its frames, under the keys
            KEY/000000, KEY/000001 and so on.
        reading: How files are read; None stands for `ImageReading()`.
        masks: Files of masks by the images' keys.
        append: Keep the records of an earlier file that are of other images than these.
        prune: Drop them.
        is_share: The images are a share of a list, which may have none, or none that can be read.
        workers: So many threads call `process` at a time, see `core.side_by_side`.

    Raises:
        KeyboardInterrupt: The message says how to go on.
        OSError: A file cannot be written.
        InputError: Not one of the images can be read; an earlier file holds others than these, and neither `append` nor
            `prune` is asked for; or with `append` it holds another image under the same key.
    """
    reading = reading or ImageReading()
    stamps = Stamps(unfinished.path, not reading.read_all)
    job = _Job(unfinished, process, draw, Earlier(unfinished.earlier, images, append, prune))
    has_several = any(is_tar(path) or (videos and is_video(path)) for path in images.values())
    total = None if has_several else len(images)
    try:
        with contextlib.ExitStack() as stack:
            loaded = stack.enter_context(
                contextlib.closing(load_images(images, job.is_known, videos, reading, masks, stamps))
            )
            records = stack.enter_context(contextlib.closing(side_by_side(job.with_known(loaded), job.make, workers)))
            for (image, known), record in tqdm(records, total=total, unit="image", disable=not progress):
                job.take(image, known, record)
    except KeyboardInterrupt:
        unfinished.save()
        raise KeyboardInterrupt(f"interrupted; the same command goes on with {unfinished.folder}") from None
    outcome = job.finish(is_share)
    stamps.save()
    for line in job.remarks.lines():
        _LOG.info("%s", line)
    _report(outcome, job.asked)
    return outcome


class _Job(Generic[Record]):
    """The records of a list of images in the making, and what became of each image; see `process_images`."""

    def __init__(
        self,
        unfinished: UnfinishedRecords[Record],
        process: Callable[[str, GreyImage], Record],
        draw: Callable[[str, Grey, Record], object] | None,
        earlier: Earlier,
    ) -> None:
        self.remarks = Remarks()
        self._unfinished, self._process, self._draw, self._earlier = unfinished, process, draw, earlier
        self._counts: Counter[str] = Counter()
        self._made: set[str] = set()
        self._failed: dict[str, str] = {}

    @property
    def asked(self) -> int:
        """Images seen so far."""
        return len(self._made) + len(self._failed)

    def is_known(self, key: str, digest: str) -> bool:
        """Whether an image need not be read."""
        return self._draw is None and self._unfinished.has(key, digest)

    def with_known(self, loaded: Iterable[Loaded]) -> Iterator[tuple[Loaded, Record | None]]:
        """Each image with the record that it has, None where there is none, or no image."""
        for image in loaded:
            yield image, None if image.image is None else self._unfinished.get(image.key, image.digest)

    def make(self, item: tuple[Loaded, Record | None]) -> Record | None:
        """The record of an image; several threads may call this at a time."""
        image, record = item
        return self._process(image.key, image.image) if image.image is not None and record is None else record

    def take(self, image: Loaded, known: Record | None, record: Future[Record | None]) -> None:
        """Sees to it that an image has its record, or keeps the reason why it has none."""
        error = image.error
        if error is None:
            try:
                self._counts[self._keep(image, known, record.result())] += 1
                self._made.add(image.key)
            except Exception as exception:
                if not is_out_of_memory(exception):
                    raise
                error = "there is not enough memory for it"
        if error is not None:
            self._failed[image.key] = error
            old = self._left_of(image.key)
            _LOG.warning("%s %s: %s", "kept the earlier record of" if old else "skipped", image.key, error)

    def finish(self, is_share: bool) -> Outcome:
        """Joins the records to one file.

        Raises:
            InputError: No image could be read, and the list is not a share.
        """
        earlier, failed = self._earlier, self._failed
        unread = {key: self._left_of(key) for key in failed}
        keys = self._made.union(earlier.others, *unread.values())
        if not is_share and not keys - set(earlier.others):
            raise InputError(f"none of {len(failed)} images could be read: {next(iter(failed.values()))}")
        skipped = {key: why for key, why in failed.items() if not unread[key]}
        return Outcome(
            path=self._unfinished.finish(sorted(keys), dict(sorted((earlier.skipped | skipped).items()))),
            images=len(keys),
            kept=self._counts["kept"] + len(keys) - len(self._made),
            new=self._counts["new"],
            changed=self._counts["changed"],
            dropped=len(earlier.keys - keys),
            unread={key: why for key, why in failed.items() if unread[key]},
            skipped=skipped,
        )

    def _keep(self, image: Loaded, known: Record | None, record: Record | None) -> str:
        """Says what became of the record that an image had."""
        changed = self._earlier.has_changed(image.key, image.digest)
        kind = "changed" if changed else "new" if image.image is not None and known is None else "kept"
        if image.image is not None and record is not None:
            self.remarks.add(image.key, image.image)
            if known is None:
                self._unfinished.add(image.key, record, image.digest)
            if self._draw is not None:
                self._draw(image.key, image.image.grey, record)
        return kind

    def _left_of(self, key: str) -> set[str]:
        """The keys of the records that an image had and that were not made anew."""
        return set(self._unfinished.known_of(key)) - self._made


def _report(outcome: Outcome, asked: int) -> None:
    out = outcome.path
    if outcome.changed:
        _LOG.warning(
            "%d of %d images had changed since the earlier %s, now replaced", outcome.changed, outcome.images, out
        )
    if outcome.unread:
        names = ", ".join(itertools.islice(outcome.unread, 3))
        _LOG.warning("%d images cannot be read now: their earlier records are kept (%s)", len(outcome.unread), names)
    if outcome.dropped:
        _LOG.warning("%d images of the earlier %s are dropped", outcome.dropped, out)
    if outcome.skipped:
        _LOG.warning("%d of %d images skipped, as listed in %s", len(outcome.skipped), asked, out)
