"""Two image files, the matches between them, and the picture of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

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


def match_images(
    image0: AnyPath,
    image1: AnyPath,
    extractor: Extractor,
    out: AnyPath,
    settings: MatchSettings | None = None,
    threshold: float = 3.0,
) -> Path:
    """Match two image files, find their homography, print what was found and write the picture of `draw_matches`.

    Args:
        image0: See `io.images.read_image`.
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
    out = Path(out)
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
