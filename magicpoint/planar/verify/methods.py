"""By what else a square is told to show a template: correlation, pooled descriptors, matched keypoints."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from homography import warp_points

from ...core.errors import InputError
from ...inference.extractor import Extractor
from ...matching.homography import estimate_homography
from ...matching.nearest import match_features
from ...model.network import PointNetwork
from .crops import SQUARE
from .network import VerifierNetwork

Square = NDArray[np.uint8]

PairScore = Callable[[Square, Square], float]
"""From a query and a template, both uint8 (side, side), to a score: the larger, the more alike."""

FARTHEST = 0.25
"""Of the side: a homography that moves a corner by more than this is of another orientation."""


def by_verifier(network: VerifierNetwork) -> PairScore:
    """The logit of a network in evaluation mode."""

    @torch.inference_mode()
    def score(query: Square, template: Square) -> float:
        both = np.stack([resized(each, network.settings.side) for each in (query, template)])
        features = network.describe(torch.from_numpy(both)[:, None].float() / 255)
        return float(network.compare(features[:1], features[1:]))

    return score


def by_correlation(side: int) -> PairScore:
    """The normalised cross-correlation of the grey values at a size."""

    def score(query: Square, template: Square) -> float:
        a, b = (resized(each, side).astype(np.float64).ravel() for each in (query, template))
        a, b = a - a.mean(), b - b.mean()
        return float(a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-9))

    return score


def by_pooled_descriptors(network: PointNetwork, side: int) -> PairScore:
    """The cosine of the mean descriptors of the cells of both.

    Raises:
        InputError: The network gives no descriptors.
    """
    if network.descriptor is None:
        raise InputError("pooled descriptors are of a network that gives some")

    @torch.inference_mode()
    def score(query: Square, template: Square) -> float:
        both = np.stack([resized(each, side) for each in (query, template)])
        descriptors = network(torch.from_numpy(both)[:, None].float() / 255).descriptors
        first, second = F.normalize(descriptors.mean(dim=(2, 3)), dim=1)
        return float(first @ second)

    return score


def by_keypoints(extractor: Extractor) -> PairScore:
    """The matches that agree on a homography (MAGSAC++), none where it turns, mirrors or moves the square."""

    def score(query: Square, template: Square) -> float:
        seen, known = extractor.extract(query).to("cpu"), extractor.extract(template).to("cpu")
        index0, index1 = match_features(known, seen).matches01.T
        estimate = estimate_homography(known.keypoints[index0], seen.keypoints[index1])
        if estimate is None:
            return 0.0
        corners = SQUARE * len(template) - 0.5
        moved = np.asarray(warp_points(corners, estimate.H_0to1)) - corners
        near = bool((np.hypot(*moved.T) <= FARTHEST * len(template)).all())  # nan, beyond the horizon, is not
        return float(estimate.inliers.sum()) if near else 0.0

    return score


def resized(square: Square, side: int) -> Square:
    """A square at a smaller size, smoothed."""
    return np.asarray(cv2.resize(square, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
