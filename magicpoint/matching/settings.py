"""What becomes a match, and what a track."""

from __future__ import annotations

import dataclasses

from ..core.settings import check_range, check_whole


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
        if self.ratio is not None:
            check_range(self, "(0, 1]", "ratio")
        check_range(self, "[-1, 1]", "min_similarity")


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
        check_range(self, "(0, inf)", "reach", "radius")
        check_range(self, "[-1, 1]", "min_similarity")
        check_whole(self, 1, "lost_after")
