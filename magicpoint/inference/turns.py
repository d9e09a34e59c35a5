"""Images that are turned against each other by any angle, matched in the four quarter turns of one of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from ..core.types import Features, Matches
from ..matching.homography import HomographyEstimate, estimate_homography
from ..matching.nearest import match_features
from ..matching.settings import MatchSettings

Extract = Callable[[NDArray[np.float32]], Features]


class TurnedMatch(NamedTuple):
    """The quarter turn of image 1 in which most matches agree on a homography.

    Args:
        turns: How many quarter turns anticlockwise image 1 was turned.
        features1: Of image 1 so turned, with positions in pixels of image 1 as it was given.
        matches: Between the features of image 0 and these.
        estimate: The homography to image 1 as it was given, None where there is none.
    """

    turns: int
    features1: Features
    matches: Matches
    estimate: HomographyEstimate | None


def match_turns(
    features0: Features,
    grey1: NDArray[np.float32],
    extract: Extract,
    settings: MatchSettings | None = None,
    threshold: float = 3.0,
) -> TurnedMatch:
    """Match an image in each of its four quarter turns; the one with most inliers counts, the first among equals.

    The network knows corners and what is around them as they stand; turned by more than about 45 degrees they are other
    corners to it. Of the four turns one is at most 45 degrees away.

    Args:
        features0: Of image 0.
        grey1: Image 1, float32 (H, W).
        extract: Finds the features of an image; it is called four times.
        settings: Of the matching; None stands for `MatchSettings()`.
        threshold: As for `estimate_homography`.
    """
    best: TurnedMatch | None = None
    for turns in range(4):
        turned = turn_back(extract(np.ascontiguousarray(np.rot90(grey1, turns))), turns).to("cpu")
        matches = match_features(features0.to("cpu"), turned, settings)
        matched0 = features0.keypoints.cpu()[matches.matches01[:, 0]]
        estimate = estimate_homography(matched0, turned.keypoints[matches.matches01[:, 1]], threshold)
        if best is None or _inliers(estimate) > _inliers(best.estimate):
            best = TurnedMatch(turns, turned, matches, estimate)
    assert best is not None
    return best


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


def _inliers(estimate: HomographyEstimate | None) -> int:
    return 0 if estimate is None else int(estimate.inliers.sum())
