"""Two images and the matches between them, drawn."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ..core.types import Features, Matches

GAP = 8
"""Pixels between the two images."""

MOST_LINES = 200
"""Matches that are drawn: many more hide the images and each other."""

_INLIER, _OUTLIER = (40, 220, 40), (255, 60, 50)
_OPACITY = 0.5  # of the lines; the circles at their ends hide less
_RADIUS = 2
_FRACTION_BITS = 4


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

    Examples:
        >>> import torch
        >>> dark = np.zeros((24, 32), np.float32)
        >>> one = Features(torch.tensor([[8.0, 8.0]]), torch.ones(1), None, (32, 24))
        >>> matches = Matches(torch.tensor([[0, 0]]), torch.ones(1))
        >>> picture = draw_matches(dark, dark, one, one, matches, inliers=np.array([True]))
        >>> picture.dtype, picture.shape[2]
        (dtype('uint8'), 3)
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
