"""How image files are read."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal, get_args

from ..core.errors import InputError
from ..core.settings import check_choice, check_range

Orientation = Literal["exif", "stored"]


@dataclasses.dataclass(frozen=True)
class ImageReading:
    """How image files are read.

    Args:
        range: Which stored values become black and white: auto, full, or LOW,HIGH. full takes those of the number
            format, 0 and 255 of 8 bits; so does auto, but of an image of 16 bits that uses few of them or leaves the
            upper half free, or of floating numbers outside [0, 1], it takes those between the 0.1 % darkest and
            brightest.
        max_megapixels: An image or frame that says it has more pixels is refused before memory is taken for it.
        orientation: exif turns an image as its EXIF orientation says, as viewers do; stored leaves it as COLMAP and
            hloc see it. Keypoints are in pixels of that.
        read_all: Read files again whose size and times are those of the last run, too. Otherwise those count as
            unchanged.
    """

    range: str = "auto"
    max_megapixels: float = 200.0
    orientation: Orientation = "exif"
    read_all: bool = False

    def __post_init__(self) -> None:
        check_range(self, "(0, inf)", "max_megapixels")
        check_choice(self, "orientation", get_args(Orientation))
        _ = self.limits

    @property
    def limits(self) -> tuple[float, float] | None:
        """The values of black and white where the range says them.

        Raises:
            InputError: The range is none of the three.
        """
        if self.range in ("auto", "full"):
            return None
        try:
            low, high = (float(number) for number in self.range.split(","))
        except (AttributeError, ValueError):
            low, high = math.nan, math.nan
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise InputError(f"range must be auto, full or LOW,HIGH with LOW below HIGH, got {self.range!r}")
        return low, high
