"""Two image files, the matches between them, and the picture of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core.errors import InputError
from ..core.files import AnyPath, check_not_replaced
from ..inference.extractor import Extractor
from ..io.images import read_image, write_png
from ..matching.homography import estimate_homography
from ..matching.nearest import match_features
from ..matching.settings import MatchSettings
from ..pictures.matches import MOST_LINES, draw_matches

FEWEST_AGREEING, SHARE_AGREEING = 8.0, 0.3
"""A homography on which more than 8 + 0.3 n of n matches agree is right (Brown and Lowe, Automatic Panoramic Image
Stitching using Invariant Features, IJCV 2007, section 3.2); one on which fewer agree may be."""


@dataclasses.dataclass(frozen=True, eq=False)
class MatchResult:
    """What matching two images came to.

    Args:
        path: The picture.
        keypoint_count0: Number of keypoints of image 0.
        keypoint_count1: Number of keypoints of image 1.
        match_count: Number of matches, K.
        inlier_count: Number of those that agree with the homography; 0 without one.
        H_0to1: float64 (3, 3), maps (x, y, 1) of image 0 to image 1; None where fewer than four matches agree on one.
        threshold: Largest distance in image 1, in pixels, of a match that agrees.
        doubtful: Whether as many matches would agree on a homography between two unrelated images, too.
        drawn: Number of matches in the picture.
        matched_keypoints0: float32 (K, 2), (x, y) of the matched keypoints in pixels of image 0.
        matched_keypoints1: float32 (K, 2) in image 1.
        match_scores: float32 (K,), the cosines of their descriptors.
        inliers: bool (K,), which match agrees with the homography.
    """

    path: Path
    keypoint_count0: int
    keypoint_count1: int
    match_count: int
    inlier_count: int
    H_0to1: NDArray[np.float64] | None
    threshold: float
    doubtful: bool
    drawn: int
    matched_keypoints0: NDArray[np.float32]
    matched_keypoints1: NDArray[np.float32]
    match_scores: NDArray[np.float32]
    inliers: NDArray[np.bool_]


def format_matching(result: MatchResult) -> str:
    """The result as text for a terminal; the path of the picture is its last line."""
    count = result.match_count
    lines = [f"{count} matches of {result.keypoint_count0} and {result.keypoint_count1} keypoints"]
    if result.H_0to1 is None:
        lines.append("no homography: fewer than four matches agree on one")
    else:
        within = f"{result.inlier_count} matches within {result.threshold:g} px"
        lines.append(f"homography from image 0 to image 1, {within}:\n{result.H_0to1}")
    if result.doubtful:
        lines.append(
            f"doubtful: {result.inlier_count} of {count} matches would agree on one of two unrelated images, too"
        )
    if result.drawn < count:
        lines.append(f"{result.drawn} of {count} matches are drawn, from the most to the least similar at even steps")
    return "\n".join([*lines, str(result.path)])


def match_images(
    image0: AnyPath,
    image1: AnyPath,
    extractor: Extractor,
    out: AnyPath,
    settings: MatchSettings | None = None,
    threshold: float = 3.0,
) -> MatchResult:
    """Match two image files, find their homography and write the picture of `draw_matches`.

    Args:
        image0: See `io.images.read_image`.
        image1: Likewise; of any other size.
        extractor: With descriptors.
        out: The file to write, its name ending in .png and none of the images; its folder is made.
        settings: None stands for `MatchSettings()`.
        threshold: Largest distance in image 1, in pixels, of a match that agrees with the homography.

    Raises:
        OSError: A file cannot be read or written.
        InputError: A file is no intact image, `out` is one of the images or no PNG file, the extractor has no
            descriptors, or the threshold is not positive.
    """
    out = Path(out)
    if out.suffix.lower() != ".png" or out.is_dir():
        raise InputError(f"the picture is a PNG file, so its name must end in .png, got {out}")
    check_not_replaced((image0, image1), out, "image")
    grey0, grey1 = (read_image(image, extractor.reading) for image in (image0, image1))
    features0, features1 = extractor.extract(grey0).to("cpu"), extractor.extract(grey1).to("cpu")
    matches = match_features(features0, features1, settings)
    matched0, matched1 = (f.keypoints[matches.matches01[:, view]] for view, f in enumerate((features0, features1)))
    estimate = estimate_homography(matched0, matched1, threshold)
    inliers = np.zeros(len(matches), np.bool_) if estimate is None else estimate.inliers
    agreeing = int(inliers.sum())
    picture = draw_matches(grey0, grey1, features0, features1, matches, inliers)
    return MatchResult(
        path=write_png(out, picture),
        keypoint_count0=len(features0),
        keypoint_count1=len(features1),
        match_count=len(matches),
        inlier_count=agreeing,
        H_0to1=None if estimate is None else estimate.H_0to1,
        threshold=threshold,
        doubtful=estimate is not None and agreeing <= FEWEST_AGREEING + SHARE_AGREEING * len(matches),
        drawn=min(len(matches), MOST_LINES),
        matched_keypoints0=matched0.numpy(),
        matched_keypoints1=matched1.numpy(),
        match_scores=matches.scores.numpy(),
        inliers=inliers,
    )
