"""How a heatmap becomes keypoints."""

from __future__ import annotations

import dataclasses

from ..core.settings import check_kinds, check_range, check_whole


@dataclasses.dataclass(frozen=True)
class DecodeSettings:
    """How a heatmap becomes keypoints.

    Args:
        nms_radius: A keypoint, a pixel that no neighbour exceeds, suppresses the weaker ones up to this many pixels
            away in x and in y; 0 takes every pixel.
        threshold: A keypoint is kept where its score, in [0, 1], is larger than this.
        border: Keypoints whose peak lies in this many pixels at each side of the image are dropped.
        max_keypoints: At most this many keypoints of an image are kept, the best by score; null keeps all.
        subpixel: Fit the position and the height of each peak between the pixels; otherwise they are its pixel's.
    """

    nms_radius: int = 4
    threshold: float = 0.015
    border: int = 4
    max_keypoints: int | None = None
    subpixel: bool = True

    def __post_init__(self) -> None:
        check_kinds(self)
        check_whole(self, 0, "nms_radius", "border")
        check_range(self, "[0, 1)", "threshold")
        if self.max_keypoints is not None:
            check_whole(self, 1, "max_keypoints")
