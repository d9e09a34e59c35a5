"""What becomes a match, and what a track."""

from __future__ import annotations

import dataclasses
from typing import Literal

from ..core.geometry import GeometryModel
from ..core.settings import check_kinds, check_range, check_whole

Solver = Literal["opencv", "poselib"]

PIXELS: dict[str, float] = {"homography": 3.0, "fundamental": 1.0, "essential": 1.0}
"""How far a match may be off, unless it is said: from its place, or from its line, which is nearer by chance."""


@dataclasses.dataclass(frozen=True)
class MatchSettings:
    """Which pairs of keypoints are matches.

    Args:
        mutual: Each of the two must be the other's nearest; otherwise each keypoint of image 0 has its nearest one, and
            several of them can share it.
        ratio: A match is kept where its distance is less than this share of the distance from the keypoint of image 0
            to its second nearest in image 1 (Lowe, 2004, section 7.1); null keeps all.
        min_similarity: A match is kept where its cosine, from -1 to 1, is this or more.
    """

    mutual: bool = True
    ratio: float | None = None
    min_similarity: float = -1.0

    def __post_init__(self) -> None:
        check_kinds(self)
        if self.ratio is not None:
            check_range(self, "(0, 1]", "ratio")
        check_range(self, "[-1, 1]", "min_similarity")


@dataclasses.dataclass(frozen=True)
class LearnedSettings:
    """What a learned matcher takes for a match, and how far it looks.

    Args:
        min_score: A match is kept where its chance, from 0 to 1, is this or more.
        stop_share: The matcher stops behind the first layer that is sure of this share of the keypoints; null goes
            through all layers.
        prune: Behind each layer keypoints that it is sure to have no counterpart are left out from then on.
    """

    min_score: float = 0.2
    stop_share: float | None = None
    prune: bool = False

    def __post_init__(self) -> None:
        check_kinds(self)
        check_range(self, "(0, 1]", "min_score")
        if self.stop_share is not None:
            check_range(self, "(0, 1]", "stop_share")


@dataclasses.dataclass(frozen=True)
class GeometrySettings:
    """What matches have to agree on.

    Args:
        model: A homography (a flat scene, or a camera that only turns), a fundamental matrix (any scene that stands
            still), or an essential one (likewise, with cameras whose intrinsics are known).
        model_threshold: Pixels in image 1 that a match is off at most, from its place under a homography, else from its
            epipolar line; null: 3 with a homography, else 1.
        solver: OpenCV's MAGSAC++, or PoseLib's LO-RANSAC, which is the extra `pose`.
    """

    model: GeometryModel = "homography"
    model_threshold: float | None = None
    solver: Solver = "opencv"

    def __post_init__(self) -> None:
        check_kinds(self)
        if self.model_threshold is not None:
            check_range(self, "(0, inf)", "model_threshold")

    @property
    def pixels(self) -> float:
        """The threshold that holds."""
        return PIXELS[self.model] if self.model_threshold is None else self.model_threshold


@dataclasses.dataclass(frozen=True)
class TrackSettings:
    """How keypoints of frames become tracks.

    Args:
        reach: With descriptors: pixels that a point moves at most from where it was seen last.
        min_similarity: With descriptors: least cosine, from -1 to 1, of the two descriptors of a link.
        radius: Without descriptors, where the nearest position decides: pixels that a point moves at most.
        lost_after: A track ends when it was not seen in this many frames in a row.
    """

    reach: float = 40.0
    min_similarity: float = 0.7
    radius: float = 8.0
    lost_after: int = 3

    def __post_init__(self) -> None:
        check_kinds(self)
        check_range(self, "(0, inf)", "reach", "radius")
        check_range(self, "[-1, 1]", "min_similarity")
        check_whole(self, 1, "lost_after")
