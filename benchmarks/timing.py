"""What the speed of extraction is measured of, and in what."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class Variant:
    """A way to run the network: as it was trained, or by the extractor with these options."""

    width: float = 1.0
    device: str = "cpu"
    precision: str = "float32"
    backend: str = "torch"
    keep_memory: bool = False
    plain: bool = False


@dataclasses.dataclass(frozen=True)
class Timing:
    """Seconds of a call and of its stages, images in a second, keypoints of an image, and the process's megabytes.

    A stage is None where there is none, as are all of OpenCV's methods.
    """

    whole: float
    whole_without_descriptors: float
    images_per_second: float
    keypoints: float
    megabytes: float
    network: float | None = None
    decoding: float | None = None
    sampling: float | None = None


def median_of(timings: Sequence[Timing]) -> Timing:
    """The median of each field; None where there is none."""
    rows = [dataclasses.astuple(timing) for timing in timings]
    return Timing(*(None if None in values else statistics.median(values) for values in zip(*rows, strict=True)))
