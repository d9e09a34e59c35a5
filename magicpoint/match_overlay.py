"""Two images, the matches between them, and the picture of it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from .extract import Extractor
from .images import read_image
from .match import Matches, MatchSettings, estimate_homography, match_features
from .overlay import check_not_replaced, write_png
from .types import Features

GAP = 8
"""Pixels between the two images."""

MOST_LINES = 200
"""Matches that are drawn: many more hide the images and each other."""

FEWEST_AGREEING, SHARE_AGREEING = 8.0, 0.3
"""A homography on which more than 8 + 0.3 n of n matches agree is right (Brown and Lowe, Automatic Panoramic Image
Stitching using Invariant Features, IJCV 2007, section 3.2); one on which fewer agree may be."""

_INLIER, _OUTLIER = (40, 220, 40), (255, 60, 50)
_OPACITY = 0.5  # of the lines; the circles at their ends hide less
_RADIUS = 2
_FRACTION_BITS = 4


def match_images(
    image0: Path,
    image1: Path,
    extractor: Extractor,
    out: Path,
    settings: MatchSettings | None = None,
    threshold: float = 3.0,
) -> Path:
    """Match two image files, find their homography, print what was found and write the picture of `draw_matches`.

    Args:
        image0: See `images.read_image`.
        image1: Likewise; of any other size.
        extractor: With descriptors.
        out: The file to write, its name ending in .png and none of the images; its folder is made.
        settings: None stands for `MatchSettings()`.
        threshold: Largest distance in image 1, in pixels, of a match that agrees with the homography.

    Returns:
        `out`.

    Raises:
        OSError: A file cannot be read or written.
        ValueError: A file is no intact image, `out` is one of the images or no PNG file, the extractor has no
            descriptors, or the threshold is not positive.
    """
    if out.suffix.lower() != ".png" or out.is_dir():
        raise ValueError(f"the picture is a PNG file, so its name must end in .png, got {out}")
    check_not_replaced((image0, image1), out, "image")
    grey0, grey1 = read_image(image0), read_image(image1)
    features0, features1 = extractor.extract(grey0).to("cpu"), extractor.extract(grey1).to("cpu")
    matches = match_features(features0, features1, settings)
    matched0, matched1 = (f.keypoints[matches.matches01[:, view]] for view, f in enumerate((features0, features1)))
    estimate = estimate_homography(matched0, matched1, threshold)
    inliers = np.zeros(len(matches), np.bool_) if estimate is None else estimate.inliers
    print(f"{len(matches)} matches of {len(features0)} and {len(features1)} keypoints")
    if estimate is None:
        print("no homography: fewer than four matches agree on one")
    else:
        agree = inliers.sum()
        print(f"homography from image 0 to image 1, {agree} matches within {threshold:g} px:\n{estimate.H_0to1}")
        if agree <= FEWEST_AGREEING + SHARE_AGREEING * len(matches):
            print(f"doubtful: {agree} of {len(matches)} matches would agree on one of two unrelated images, too")
    if len(matches) > MOST_LINES:
        print(f"{MOST_LINES} of {len(matches)} matches are drawn, from the most to the least similar at even steps")
    picture = draw_matches(grey0, grey1, features0, features1, matches, inliers)
    return write_png(out, picture)


def draw_matches(
    grey0: NDArray[np.float32],
    grey1: NDArray[np.float32],
    features0: Features,
    features1: Features,
    matches: Matches,
    inliers: NDArray[np.bool_],
) -> NDArray[np.uint8]:
    """Draw two images side by side, image 0 on the left, and a line for each match, or for `MOST_LINES` of them.

    These are taken at even steps from the most to the least similar, so that they show good and bad ones in the shares
    that they have.

    Args:
        grey0: (H0, W0) in [0, 1].
        grey1: (H1, W1); what is missing below the lower image stays black.
        features0: Of `grey0`.
        features1: Of `grey1`.
        matches: Of the two.
        inliers: bool (K,) of the matches: these are green and on top, the others red.

    Returns:
        uint8 (max(H0, H1), W0 + 8 + W1, 3), red first.

    Raises:
        ValueError: The features are of images of other sizes, or the inliers do not fit the matches.
    """
    for grey, features in ((grey0, features0), (grey1, features1)):
        if features.image_size != grey.shape[::-1]:
            raise ValueError(f"features of an image of {features.image_size} do not fit one of {grey.shape[::-1]}")
    if inliers.shape != (len(matches),):
        raise ValueError(f"inliers of shape {inliers.shape} do not fit {len(matches)} matches")
    picture = _side_by_side(grey0, grey1)
    chosen = _spread(matches.scores.cpu().numpy())
    index0, index1 = matches.matches01.cpu().numpy()[chosen].T
    ends0 = features0.keypoints.cpu().numpy()[index0]
    ends1 = features1.keypoints.cpu().numpy()[index1] + np.array([grey0.shape[1] + GAP, 0], np.float32)
    return _draw_lines(picture, np.stack((ends0, ends1), axis=1), inliers[chosen])


def _side_by_side(grey0: NDArray[np.float32], grey1: NDArray[np.float32]) -> NDArray[np.uint8]:
    right = grey0.shape[1] + GAP
    sheet = np.zeros((max(grey0.shape[0], grey1.shape[0]), right + grey1.shape[1]), np.float32)
    sheet[: grey0.shape[0], : grey0.shape[1]] = grey0
    sheet[: grey1.shape[0], right:] = grey1
    return np.asarray(cv2.cvtColor(np.rint(sheet * 255).astype(np.uint8), cv2.COLOR_GRAY2RGB), np.uint8)


def _spread(scores: NDArray[np.float32]) -> NDArray[np.intp]:
    """The indices of all, or of `MOST_LINES` at even steps from the largest to the smallest."""
    order = np.argsort(-scores, kind="stable")
    steps = np.linspace(0, len(order) - 1, min(len(order), MOST_LINES))
    return order[np.rint(steps).astype(np.intp)]


def _draw_lines(picture: NDArray[np.uint8], ends: NDArray[np.float32], inliers: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Lines from `ends` (K, 2, 2), (x, y) of both ends, through which the picture is seen, and circles around both."""
    scale = 1 << _FRACTION_BITS
    lines = np.rint(ends * scale).astype(int)
    coloured = [
        (start, end, colour)
        for chosen, colour in ((~inliers, _OUTLIER), (inliers, _INLIER))
        for start, end in lines[chosen].tolist()
    ]
    layer = picture.copy()
    for start, end, colour in coloured:
        cv2.line(layer, start, end, colour, 1, cv2.LINE_AA, _FRACTION_BITS)
    drawn = cv2.addWeighted(layer, _OPACITY, picture, 1 - _OPACITY, 0)
    for start, end, colour in coloured:
        for centre in (start, end):
            cv2.circle(drawn, centre, _RADIUS * scale, colour, 1, cv2.LINE_AA, _FRACTION_BITS)
    return np.ascontiguousarray(drawn, np.uint8)
