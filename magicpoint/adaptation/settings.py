"""How a detector labels images."""

from __future__ import annotations

import dataclasses

from homography import HomographySettings
from homography.adaptation import Aggregation

from ..core.errors import InputError
from ..core.grid import CELL_SIZE
from ..core.precision import Precision
from ..core.settings import LARGEST_SEED, check_kinds, check_range, check_whole
from ..decoding.settings import DecodeSettings


@dataclasses.dataclass(frozen=True)
class AdaptationSettings:
    """How a detector labels images.

    Args:
        count: Views of each image, the first the image itself.
        homographies: The other views.
        aggregation: What is taken of the heatmaps of the views that see a pixel: their mean, their largest value, or
            their sum over the number of all views, which makes keypoints near the border less certain.
        threshold: A keypoint is kept where its score, the height of its peak in the aggregate, is larger than this.
        nms_radius: A keypoint suppresses the weaker ones up to this many pixels away in x and in y.
        max_keypoints: At most this many keypoints of an image are kept, the best by score; null keeps all.
        erosion: Pixels of each view that are not trusted along its frame and along the image's border.
        tolerance: Take no more views once the last ten have moved no pixel of the mean by more than this; null takes
            all.
        longest_side: Larger images are shrunk to this many pixels on the longer side; null takes all as they are.
        seed: Together with an image's key it decides the views of the image.
        chunk_pixels: The network sees as many views at once as have this many pixels, but at least one.
        precision: Number format of the network's layers; auto takes bfloat16 where it is measured to be faster.
    """

    count: int = 100
    homographies: HomographySettings = dataclasses.field(default_factory=HomographySettings)
    aggregation: Aggregation = "mean"
    threshold: float = 0.015
    nms_radius: int = 4
    max_keypoints: int | None = None
    erosion: int = 4
    tolerance: float | None = None
    longest_side: int | None = None
    seed: int = 0
    chunk_pixels: int = 4 * 240 * 320
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        check_kinds(self)
        check_whole(self, 1, "count", "chunk_pixels")
        check_whole(self, 0, "erosion")
        check_whole(self, 0, "seed", most=LARGEST_SEED)
        if self.tolerance is not None:
            check_range(self, "[0, inf)", "tolerance")
            if self.aggregation != "mean":
                raise InputError(f"tolerance is of the mean, got {self.tolerance} of the {self.aggregation}")
        if self.longest_side is not None:
            check_whole(self, CELL_SIZE, "longest_side")
        DecodeSettings(self.nms_radius, self.threshold, max_keypoints=self.max_keypoints)
