"""The homography on which the matches of two images agree."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import least_squares
from torch import Tensor

from .points import SPREAD, as_matched

LEAST_MATCHES = 4
"""A homography has eight unknowns, a match gives two equations."""

_ITERATIONS, _CONFIDENCE = 10_000, 0.9999


@dataclasses.dataclass(frozen=True, eq=False)
class HomographyEstimate:
    """A homography and the matches that agree with it.

    Args:
        H_0to1: float64 (3, 3), maps (x, y, 1) of image 0 to image 1; the third coordinate is positive where it is seen.
        inliers: bool (K,) of the matches that were given.
    """

    H_0to1: NDArray[np.float64]
    inliers: NDArray[np.bool_]


def estimate_homography(
    keypoints0: ArrayLike | Tensor,
    keypoints1: ArrayLike | Tensor,
    threshold: float = 3.0,
    least_inliers: int = LEAST_MATCHES,
) -> HomographyEstimate | None:
    """Find the homography on which most matches agree, by MAGSAC++ as in OpenCV's USAC, and fit it to those.

    At most 10,000 samples are drawn, fewer once a better one is unlikely (confidence 0.9999), by a generator of the
    estimate's own with a fixed seed: the same points give the same result. The fit to its inliers weighs each the less
    the farther away it is (Cauchy's loss), so that matches which are a little wrong do not pull at it.

    Args:
        keypoints0: (K, 2) of the matches in image 0, `features0.keypoints[matches.matches01[:, 0]]`.
        keypoints1: (K, 2) in image 1, in the same order.
        threshold: Largest distance in image 1, in pixels, of an inlier.
        least_inliers: Where fewer agree, before or after the fit, there is no estimate; at least four.

    Returns:
        None where there are too few matches or they fix no homography, as on a line. A mirrored view, which no
        camera sees, is not looked for.

    Raises:
        ValueError: The shapes do not fit, a value is not finite, or the threshold is not positive.

    Examples:
        >>> keypoints0 = np.array([[0, 0], [100, 0], [100, 80], [0, 80], [50, 40]], float)
        >>> keypoints1 = keypoints0 + (5, -3)
        >>> keypoints1[4] = (90, 90)  # one match is wrong
        >>> estimate = estimate_homography(keypoints0, keypoints1)
        >>> estimate.inliers.tolist()
        [True, True, True, True, False]
        >>> (estimate.H_0to1 @ np.array([10.0, 10.0, 1.0])).round(6).tolist()
        [15.0, 7.0, 1.0]
    """
    points0, points1 = as_matched(keypoints0, keypoints1, threshold)
    least = max(least_inliers, LEAST_MATCHES)
    if len(points0) < least:
        return None
    found, mask = cv2.findHomography(
        points0, points1, cv2.USAC_MAGSAC, threshold, maxIters=_ITERATIONS, confidence=_CONFIDENCE
    )
    if found is None or not np.isfinite(found).all() or np.linalg.matrix_rank(found) < 3:
        return None
    H, inliers = np.asarray(found, np.float64), np.asarray(mask).ravel().astype(np.bool_)
    if inliers.sum() < least:
        return None
    H = H if np.median(points0[inliers] @ H[2, :2] + H[2, 2]) > 0 else -H
    H = _fit(H, points0[inliers], points1[inliers], threshold * SPREAD)
    inliers = agreeing(H, points0, points1, threshold)
    return HomographyEstimate(H, inliers) if inliers.sum() >= least else None


def _fit(
    H: NDArray[np.float64], points0: NDArray[np.float64], points1: NDArray[np.float64], spread: float
) -> NDArray[np.float64]:
    """The homography near H with the least Cauchy loss of the errors in image 1, which are of about this spread.

    What is sought is a change of H, (I + D) H in coordinates of image 1 around 0 and of about 1: there its eight
    numbers are alike in size, whatever the images are and wherever their horizon lies.
    """
    centre = points1.mean(axis=0)
    scale = 1 / max(float(np.abs(points1 - centre).mean()), spread)
    to_unit = np.array([[scale, 0, -scale * centre[0]], [0, scale, -scale * centre[1]], [0, 0, 1]])
    start, target = _homogeneous(points0) @ (to_unit @ H).T, scale * (points1 - centre)

    def changed(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        change: NDArray[np.float64] = np.eye(3) + np.append(numbers, 0.0).reshape(3, 3)
        return change

    def errors(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        moved = start @ changed(numbers).T
        relative: NDArray[np.float64] = (moved[:, :2] / moved[:, 2:] - target) / (scale * spread)
        return relative.ravel()

    best = least_squares(errors, np.zeros(8), loss="cauchy").x
    fitted: NDArray[np.float64] = np.linalg.inv(to_unit) @ changed(best) @ to_unit @ H
    return fitted / (abs(fitted[2, 2]) or 1.0)  # the last entry is 1 or -1, as OpenCV gives it


def agreeing(
    H: NDArray[np.float64], points0: NDArray[np.float64], points1: NDArray[np.float64], threshold: float
) -> NDArray[np.bool_]:
    """bool (K,): which matches H, positive where it is seen, takes to at most so many pixels from their place."""
    moved = _homogeneous(points0) @ H.T
    # Without a division, since a point may lie on the horizon; nothing behind it is seen.
    distances = np.linalg.norm(moved[:, :2] - moved[:, 2:] * points1, axis=1)
    near: NDArray[np.bool_] = distances <= threshold * moved[:, 2]
    return near


def _homogeneous(points: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.column_stack((points, np.ones(len(points))))
