"""Matches between the keypoints of two images, and the homography on which they agree."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from .types import Features

ROWS = 1024
"""Descriptors of image 0 that are compared at once: with 10,000 in image 1 a block takes 40 MB."""

LEAST_MATCHES = 4
"""A homography has eight unknowns, a match gives two equations."""

_ITERATIONS, _CONFIDENCE = 10_000, 0.9999


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
        if self.ratio is not None and not 0.0 < self.ratio <= 1.0:
            raise ValueError(f"ratio must be in (0, 1], or None for no such test, got {self.ratio}")
        if not -1.0 <= self.min_similarity <= 1.0:
            raise ValueError(f"min_similarity must be in [-1, 1], got {self.min_similarity}")


@dataclasses.dataclass(frozen=True, eq=False)
class Matches:
    """Pairs of keypoints of two images.

    Args:
        matches01: int64 (K, 2): index of the keypoint in image 0 (increasing) and in image 1.
        scores: float32 (K,): the cosine of the two descriptors.
    """

    matches01: Tensor
    scores: Tensor

    def __len__(self) -> int:
        return self.matches01.shape[0]

    def to(self, device: torch.device | str) -> Matches:
        """The same matches with both tensors on `device`."""
        return Matches(self.matches01.to(device), self.scores.to(device))


@dataclasses.dataclass(frozen=True, eq=False)
class HomographyEstimate:
    """A homography and the matches that agree with it.

    Args:
        H_0to1: float64 (3, 3), maps (x, y, 1) of image 0 to image 1; the third coordinate is positive where it is seen.
        inliers: bool (K,) of the matches that were given.
    """

    H_0to1: NDArray[np.float64]
    inliers: NDArray[np.bool_]


def match_features(features0: Features, features1: Features, settings: MatchSettings | None = None) -> Matches:
    """Match keypoints by the nearest descriptor.

    Nearness is the cosine s of the descriptors; the distance of the ratio test is sqrt(2 - 2 s), which is the Euclidean
    one of descriptors of unit length. Among equals the keypoint that comes first in its image is the nearest. Without a
    second keypoint in image 1 a match passes the ratio test. Descriptors of length 0 have the cosine 0 to all.

    Args:
        features0: With descriptors, on any device.
        features1: With descriptors of the same length.
        settings: None stands for `MatchSettings()`.

    Returns:
        On the device of `features0`; none where an image has no keypoints.

    Raises:
        ValueError: There are no descriptors, their lengths differ, or a value is not finite.
    """
    settings = settings or MatchSettings()
    if features0.descriptors is None or features1.descriptors is None:
        raise ValueError("matching needs descriptors, and a detector such as MagicPoint gives none")
    descriptors0, descriptors1 = features0.descriptors, features1.descriptors.to(features0.descriptors.device)
    if descriptors0.shape[1] != descriptors1.shape[1]:
        raise ValueError(f"descriptors of {descriptors0.shape[1]} and {descriptors1.shape[1]} numbers do not compare")
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


def estimate_homography(
    keypoints0: ArrayLike | Tensor, keypoints1: ArrayLike | Tensor, threshold: float = 3.0
) -> HomographyEstimate | None:
    """Find the homography on which most matches agree, by MAGSAC++ as in OpenCV's USAC.

    At most 10,000 samples are drawn, fewer once a better one is unlikely (confidence 0.9999), by a generator of the
    estimate's own with a fixed seed: the same points give the same result.

    Args:
        keypoints0: (K, 2) of the matches in image 0, `features0.keypoints[matches.matches01[:, 0]]`.
        keypoints1: (K, 2) in image 1, in the same order.
        threshold: Largest distance in image 1, in pixels, of an inlier.

    Returns:
        None where there are fewer than four matches or they fix no homography, as on a line. A mirrored view, which no
        camera sees, is not looked for.

    Raises:
        ValueError: The shapes do not fit, a value is not finite, or the threshold is not positive.
    """
    points0, points1 = (_as_points(points) for points in (keypoints0, keypoints1))
    if points0.shape != points1.shape:
        raise ValueError(f"{len(points0)} and {len(points1)} keypoints are no matches")
    if not 0 < threshold < float("inf"):
        raise ValueError(f"threshold must be positive and finite, got {threshold}")
    if len(points0) < LEAST_MATCHES:
        return None
    found, mask = cv2.findHomography(
        points0, points1, cv2.USAC_MAGSAC, threshold, maxIters=_ITERATIONS, confidence=_CONFIDENCE
    )
    if found is None or not np.isfinite(found).all() or np.linalg.matrix_rank(found) < 3:
        return None
    H, inliers = np.asarray(found, np.float64), np.asarray(mask).ravel().astype(np.bool_)
    if inliers.sum() < LEAST_MATCHES:
        return None
    in_front = np.median(points0[inliers] @ H[2, :2] + H[2, 2]) > 0
    return HomographyEstimate(H if in_front else -H, inliers)


def _as_points(points: ArrayLike | Tensor) -> NDArray[np.float64]:
    array = np.asarray(points.detach().cpu() if isinstance(points, Tensor) else points, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] != 2:
        raise ValueError(f"keypoints must have shape (K, 2), got {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"keypoints must be finite, got {array[~np.isfinite(array).all(axis=1)][0]}")
    return array
