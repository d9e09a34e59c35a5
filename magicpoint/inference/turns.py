"""Images that are turned against each other by any angle, matched in the four quarter turns of one of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike

from ..core.geometry import TwoViewGeometry
from ..core.types import Features, Matches
from ..io.images import Image, open_image
from ..matching.geometry import estimate_geometry
from ..matching.nearest import Matching, match_features
from ..matching.settings import GeometrySettings
from .extractor import Extractor


class TurnedMatch(NamedTuple):
    """The quarter turn of image 1 in which most matches agree.

    Attributes:
        turns: How many quarter turns anticlockwise image 1 was turned.
        features1: Of image 1 so turned, with positions in pixels of image 1 as it was given.
        matches: Between the features of image 0 and these.
        geometry: What they agree on, of image 1 as it was given; None where there is nothing.
    """

    turns: int
    features1: Features
    matches: Matches
    geometry: TwoViewGeometry | None


def match_turns(
    features0: Features,
    image1: Image,
    extractor: Extractor,
    settings: Matching | None = None,
    geometry: GeometrySettings | None = None,
    intrinsics: tuple[ArrayLike, ArrayLike] | None = None,
    turns: Sequence[int] = range(4),
) -> TurnedMatch:
    """Match an image in each of its four quarter turns; the one with most inliers counts, the first among equals.

    The network knows corners and what is around them as they stand; turned by more than about 45 degrees they are other
    corners to it. Of the four turns one is at most 45 degrees away. It takes four extractions.

    Args:
        features0: Of image 0.
        image1: As for `Extractor.extract`.
        extractor: It made `features0`, too.
        settings: Of the matching; None stands for `MatchSettings()`; a `LearnedMatcher` matches in its own way.
        geometry: What matches have to agree on; None stands for `GeometrySettings()`, a homography.
        intrinsics: The matrices (3, 3) of both images, for an essential matrix alone.
        turns: The numbers of quarter turns that are tried.

    Raises:
        ValueError: See `match_features` and `estimate_geometry`.
    """
    features0, geometry = features0.to("cpu"), geometry or GeometrySettings()
    tried: list[TurnedMatch] = []
    for quarters in turns:
        features1 = extract_turned(extractor, image1, quarters).to("cpu")
        matches = match_features(features0, features1, settings)
        index0, index1 = matches.matches01.T
        places = features0.keypoints[index0], features1.keypoints[index1]
        found = estimate_geometry(*places, geometry, *(intrinsics or ()))
        tried.append(TurnedMatch(quarters, features1, matches, found))
    return max(tried, key=lambda match: 0 if match.geometry is None else int(match.geometry.inliers.sum()))


def extract_turned(extractor: Extractor, image: Image, turns: int) -> Features:
    """Features of an image turned by quarter turns anticlockwise, with positions in the image as it is given."""
    opened = open_image(image, extractor.reading)
    grey = np.ascontiguousarray(np.rot90(opened.grey, turns))
    mask = None if opened.mask is None else np.ascontiguousarray(np.rot90(opened.mask, turns))
    return turn_back(extractor.extract(dataclasses.replace(opened, grey=grey, mask=mask)), turns)


def turn_back(features: Features, turns: int) -> Features:
    """Features of an image that was turned by quarter turns anticlockwise, with positions as before that.

    A quarter turn takes the pixel (x, y) of an image (W, H) to (y, W - 1 - x).
    """
    for _ in range(turns % 4):
        height, width = features.image_size  # those before this turn are the other way round
        x, y = features.keypoints.unbind(dim=1)
        keypoints = torch.stack([width - 1 - y, x], dim=1)
        features = dataclasses.replace(features, keypoints=keypoints, image_size=(width, height))
    return features
