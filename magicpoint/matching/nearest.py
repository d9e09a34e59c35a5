"""Matches between the keypoints of two images: the nearest descriptors."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from ..core.errors import InputError
from ..core.origins import check_one_origin
from ..core.types import Features, Matches
from .settings import MatchSettings

ROWS = 1024
"""Descriptors of image 0 that are compared at once: with 10,000 in image 1 a block takes 40 MB."""


class Matcher(Protocol):
    """What matches features in its own way, such as `matching.learned.LearnedMatcher`."""

    def match(self, features0: Features, features1: Features) -> Matches:
        """The matches of two images."""

    @property
    def provenance(self) -> Mapping[str, Any]:
        """What its matches depend on beside the features, in plain values."""


Matching = MatchSettings | Matcher
"""How features are matched: by the nearest descriptors, or by a matcher."""


def provenance_of(matching: Matching | None) -> dict[str, Any]:
    """What matches depend on beside the features, in plain values."""
    if matching is None or isinstance(matching, MatchSettings):
        return dataclasses.asdict(matching or MatchSettings())
    return dict(matching.provenance)


def match_features(features0: Features, features1: Features, settings: Matching | None = None) -> Matches:
    """Match keypoints by the nearest descriptor, or by a matcher.

    Nearness is the cosine s of the descriptors; the distance of the ratio test is sqrt(2 - 2 s), which is the Euclidean
    one of descriptors of unit length. Among equals the keypoint that comes first in its image is the nearest. Without a
    second keypoint in image 1 a match passes the ratio test. Descriptors of length 0 have the cosine 0 to all.

    Args:
        features0: With descriptors, on any device.
        features1: With descriptors of the same length.
        settings: None stands for `MatchSettings()`. A matcher, such as a `LearnedMatcher`, says by itself what matches
            are, and which errors it raises.

    Returns:
        On the device of `features0`; none where an image has no keypoints.

    Raises:
        InputError: They are of two networks, where that is known (`Features.provenance`), have no descriptors, or
            such of different lengths. Where they are of two decodings the log says so.
        ValueError: A value is not finite.

    Examples:
        >>> def features(*angles):
        ...     turned = torch.tensor(angles).deg2rad()
        ...     descriptors = torch.stack((turned.cos(), turned.sin()), dim=1)
        ...     return Features(torch.zeros(len(angles), 2), torch.ones(len(angles)), descriptors, (8, 8))
        >>> matches = match_features(features(0.0, 90.0), features(80.0, 5.0))
        >>> matches.matches01.tolist()
        [[0, 1], [1, 0]]
    """
    if settings is not None and not isinstance(settings, MatchSettings):
        return settings.match(features0, features1)
    settings = settings or MatchSettings()
    check_one_origin((features0, features1))
    if features0.descriptors is None or features1.descriptors is None:
        raise InputError("matching needs descriptors, and a detector such as MagicPoint gives none")
    descriptors0, descriptors1 = features0.descriptors, features1.descriptors.to(features0.descriptors.device)
    if descriptors0.shape[1] != descriptors1.shape[1]:
        raise InputError(f"descriptors of {descriptors0.shape[1]} and {descriptors1.shape[1]} numbers do not compare")
    if not (descriptors0.isfinite().all() and descriptors1.isfinite().all()):
        raise ValueError("descriptors must be finite")
    if len(features0) == 0 or len(features1) == 0:
        return Matches(descriptors0.new_zeros((0, 2), dtype=torch.int64), descriptors0.new_zeros(0))
    nearest, best, second, nearest_of_1 = _nearest(F.normalize(descriptors0, dim=1), F.normalize(descriptors1, dim=1))
    index0 = torch.arange(len(nearest), device=nearest.device)
    kept = best >= settings.min_similarity
    if settings.mutual:
        kept &= nearest_of_1[nearest] == index0
    if settings.ratio is not None:
        kept &= _distance(best) < settings.ratio * _distance(second)
    return Matches(torch.stack((index0, nearest), dim=1)[kept], best[kept])


def _nearest(descriptors0: Tensor, descriptors1: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """For unit descriptors (N, D) and (M, D), neither empty.

    Returns:
        (N,) the nearest in 1, its cosine and the second largest cosine (minus infinity without one); (M,) the nearest
        in 0. `Tensor.max` takes the first of equals.
    """
    column_best = descriptors1.new_full((len(descriptors1),), -torch.inf)
    column_row = torch.zeros(len(descriptors1), dtype=torch.int64, device=descriptors1.device)
    nearest, best, second = [], [], []
    for start in range(0, len(descriptors0), ROWS):
        similarity = descriptors0[start : start + ROWS] @ descriptors1.T
        block_best, block_row = similarity.max(dim=0)
        closer = block_best > column_best
        column_row = torch.where(closer, block_row + start, column_row)
        column_best = torch.maximum(block_best, column_best)
        row_best, row_nearest = similarity.max(dim=1)
        nearest.append(row_nearest)
        best.append(row_best)
        similarity.scatter_(1, row_nearest[:, None], -torch.inf)
        second.append(similarity.amax(dim=1))
    return torch.cat(nearest), torch.cat(best).clamp(-1.0, 1.0), torch.cat(second), column_row


def _distance(similarity: Tensor) -> Tensor:
    return (2.0 - 2.0 * similarity).clamp_min(0.0).sqrt()
