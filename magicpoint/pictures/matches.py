"""Two images and the matches between them, drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..core.files import AnyPath
from ..core.types import Features, Matches
from ..io.images import write_png
from .canvas import Colour, Drawable, LegendEntry, add_legend, as_colours

TITLE = "matches"
"""Of the pictures that `write_match_picture` writes."""

GAP = 8
"""Pixels between the two images."""

MOST_LINES = 150
"""Matches that are drawn: many more hide the images and each other."""

_OUTLIER: Colour = (220, 40, 40)
_LINE_OPACITY, _OUTLIER_OPACITY = 0.75, 0.35
_RADIUS = 3
_FRACTION_BITS = 4
_ORANGE, _PINK = 15, 160  # of OpenCV's 180 hues; the red between them is for those that do not agree


def draw_matches(
    image0: Drawable,
    image1: Drawable,
    features0: Features,
    features1: Features,
    matches: Matches,
    inliers: NDArray[np.bool_],
) -> NDArray[np.uint8]:
    """Draw two images side by side, image 0 on the left, and a line for each match, or for `MOST_LINES` of them.

    Those that agree have the colour of their place in image 0, going around its middle, so that an eye can follow a
    line and finds the place in image 1 by its colour; the others are red and faint. Of many matches those are drawn
    that lie apart from each other, of the agreeing and of the others in the shares that these have.

    Args:
        image0: (H0, W0) in [0, 1], or uint8 (H0, W0, 3), red first.
        image1: Likewise; what is missing below the lower image stays black.
        features0: Of `image0`.
        features1: Of `image1`.
        matches: Of the two.
        inliers: bool (K,): which matches agree.

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
    for image, features in ((image0, features0), (image1, features1)):
        if features.image_size != image.shape[1::-1]:
            raise ValueError(f"features of an image of {features.image_size} do not fit one of {image.shape[1::-1]}")
    if inliers.shape != (len(matches),):
        raise ValueError(f"inliers of shape {inliers.shape} do not fit {len(matches)} matches")
    index0, index1 = matches.matches01.cpu().numpy().T
    ends0, ends1 = features0.keypoints.cpu().numpy()[index0], features1.keypoints.cpu().numpy()[index1]
    chosen = _thinned(ends0, matches.scores.cpu().numpy(), inliers)
    shifted = ends1 + np.array([image0.shape[1] + GAP, 0], np.float32)
    ends = np.stack((ends0, shifted), axis=1)[chosen]
    colours = _colours_by_place(ends0[chosen], (image0.shape[1], image0.shape[0]))
    return _draw_lines(_side_by_side(image0, image1), ends, colours, inliers[chosen])


def write_match_picture(
    path: AnyPath,
    image0: Drawable,
    image1: Drawable,
    features0: Features,
    features1: Features,
    matches: Matches,
    inliers: NDArray[np.bool_],
) -> Path:
    """Write the picture of `draw_matches`, with a legend below it, as a PNG file, in full or not at all.

    Raises:
        OSError: It cannot be written.
        ValueError: See `draw_matches`.
    """
    picture = draw_matches(image0, image1, features0, features1, matches, inliers)
    agreeing, drawn = int(inliers.sum()), min(len(matches), MOST_LINES)
    hues = _of_hues(np.linspace(_ORANGE, _PINK, 48))
    legend: list[LegendEntry] = [
        (f"{agreeing} matches that agree", hues),
        (f"{len(matches) - agreeing} others", np.array([_OUTLIER], np.uint8)),
    ]
    if drawn < len(matches):
        legend.append((f"{drawn} of {len(matches)} drawn", None))
    return write_png(path, add_legend(picture, legend), TITLE)


def _side_by_side(image0: Drawable, image1: Drawable) -> NDArray[np.uint8]:
    right = image0.shape[1] + GAP
    sheet = np.zeros((max(image0.shape[0], image1.shape[0]), right + image1.shape[1], 3), np.uint8)
    sheet[: image0.shape[0], : image0.shape[1]] = as_colours(image0)
    sheet[: image1.shape[0], right:] = as_colours(image1)
    return sheet


def _thinned(places: NDArray[np.float32], scores: NDArray[np.float32], inliers: NDArray[np.bool_]) -> NDArray[np.intp]:
    """The indices of all, or of `MOST_LINES`, from those drawn first to those on top."""
    kept = []
    for kind in (~inliers, inliers):
        members = np.flatnonzero(kind)
        count = len(members) if len(inliers) <= MOST_LINES else round(MOST_LINES * len(members) / len(inliers))
        kept.append(members[_apart(places[members], scores[members], count)])
    return np.concatenate(kept)


def _apart(places: NDArray[np.float32], scores: NDArray[np.float32], count: int) -> NDArray[np.intp]:
    """The indices of so many: each place is the farthest from those before it, the first has the largest score."""
    if not count:
        return np.zeros(0, np.intp)
    chosen = [int(scores.argmax())]
    distances = np.full(len(places), np.inf)
    while len(chosen) < count:
        distances = np.minimum(distances, np.linalg.norm(places - places[chosen[-1]], axis=1))
        distances[chosen[-1]] = -1.0
        chosen.append(int(distances.argmax()))
    return np.array(chosen, np.intp)


def _colours_by_place(places: NDArray[np.float32], image_size: tuple[int, int]) -> NDArray[np.uint8]:
    """Colours (N, 3), red first: from orange to pink, once around the middle of the image from its left side."""
    x, y = (places - (np.array(image_size) - 1) / 2).T
    return _of_hues(_ORANGE + (_PINK - _ORANGE) * (np.arctan2(y, x) / (2 * np.pi) + 0.5))


def _of_hues(hues: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    hsv = np.full((len(hues), 1, 3), 255, np.uint8)
    hsv[:, 0, 0] = np.rint(hues)
    hsv[:, 0, 1] = 200
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[:, 0], np.uint8) if len(hues) else hsv[:, 0]


def _draw_lines(
    picture: NDArray[np.uint8],
    ends: NDArray[np.float32],
    colours: NDArray[np.uint8],
    inliers: NDArray[np.bool_],
) -> NDArray[np.uint8]:
    """Lines from `ends` (K, 2, 2), (x, y) of both ends, through which the picture is seen, and discs at both."""
    scale = 1 << _FRACTION_BITS
    lines = np.rint(ends * scale).astype(int)
    for chosen, opacity in ((~inliers, _OUTLIER_OPACITY), (inliers, _LINE_OPACITY)):
        layer = picture.copy()
        drawn = [
            (line, colour if agrees else _OUTLIER)
            for line, colour, agrees in zip(lines.tolist(), colours.tolist(), chosen & inliers, strict=True)
        ]
        drawn = [each for each, wanted in zip(drawn, chosen, strict=True) if wanted]
        for (start, end), colour in drawn:
            cv2.line(layer, start, end, colour, 1, cv2.LINE_AA, _FRACTION_BITS)
        picture = np.asarray(cv2.addWeighted(layer, opacity, picture, 1 - opacity, 0), np.uint8)
        for places, colour in drawn:
            for centre in places:
                cv2.circle(picture, centre, _RADIUS * scale, colour, cv2.FILLED, cv2.LINE_AA, _FRACTION_BITS)
    return np.ascontiguousarray(picture, np.uint8)
