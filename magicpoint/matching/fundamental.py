"""The fundamental matrix on which the matches of two images agree, and how far each is off."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from ..core.geometry import TwoViewGeometry
from .points import SPREAD, as_matched

Floats = NDArray[np.float64]

LEAST_MATCHES = 8
"""A fundamental matrix has seven unknowns and a match gives one equation: through seven there is always one."""

_ITERATIONS, _CONFIDENCE = 10_000, 0.9999


def estimate_fundamental(
    keypoints0: ArrayLike, keypoints1: ArrayLike, threshold: float = 1.0
) -> TwoViewGeometry | None:
    """Find the fundamental matrix on which most matches agree, by MAGSAC++ as in OpenCV's USAC.

    It is fitted to its inliers, which count the less the farther away they are (Cauchy's loss).

    Args:
        keypoints0: (K, 2) of the matches in image 0.
        keypoints1: (K, 2) in image 1, in the same order.
        threshold: Largest distance from the epipolar line, in pixels, of an inlier; see `sampson_distances`.

    Returns:
        Its matrix F, with x1ᵀ F x0 = 0, of norm 1 and its largest entry positive; None where there are fewer than eight
        matches, or they fix none. Of a flat scene many fit.

    Raises:
        InputError: The shapes do not fit, a value is not finite, or the threshold is not positive.

    Examples:
        >>> keypoints0 = np.random.default_rng(0).uniform(0, 100, (20, 2))
        >>> shifts = np.random.default_rng(1).uniform(5, 30, 20)  # of a camera that moved sideways: the nearer the more
        >>> estimate = estimate_fundamental(keypoints0, keypoints0 - np.column_stack((shifts, 0 * shifts)))
        >>> (abs(estimate.matrix) * 2**0.5).round(3).tolist()
        [[0.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    """
    points0, points1 = as_matched(keypoints0, keypoints1, threshold)
    if len(points0) < LEAST_MATCHES:
        return None
    found, _ = cv2.findFundamentalMat(points0, points1, cv2.USAC_MAGSAC, threshold, _CONFIDENCE, _ITERATIONS)
    if found is None or found.shape != (3, 3) or not np.isfinite(found).all():
        return None
    F = np.asarray(found, np.float64)
    near = sampson_distances(F, points0, points1) <= threshold
    if near.sum() < LEAST_MATCHES:
        return None
    return agreeing_with(_fit(F, points0[near], points1[near], threshold * SPREAD), points0, points1, threshold)


def _fit(F: Floats, points0: Floats, points1: Floats, spread: float) -> Floats:
    """The fundamental matrix near F with the least Cauchy loss of the distances, which are of about this spread.

    Its seven numbers are two turns and the ratio of its singular values, in coordinates around 0 and of about 1.
    """
    centres = points0.mean(axis=0), points1.mean(axis=0)
    scale = 1 / max(float(np.abs(points0 - centres[0]).mean()), float(np.abs(points1 - centres[1]).mean()), spread)
    to_pixels = [np.array([[1 / scale, 0, x], [0, 1 / scale, y], [0, 0, 1]]) for x, y in centres]
    unit0, unit1 = (scale * (points - centre) for points, centre in zip((points0, points1), centres, strict=True))
    left, values, right = np.linalg.svd(to_pixels[1].T @ F @ to_pixels[0])

    def changed(numbers: Floats) -> Floats:
        turns = [Rotation.from_rotvec(turn).as_matrix() for turn in (numbers[:3], numbers[3:6])]
        ratio = values[1] / values[0] + numbers[6]
        matrix: Floats = left @ turns[0] @ np.diag([1.0, ratio, 0.0]) @ turns[1] @ right
        return matrix

    def errors(numbers: Floats) -> Floats:
        return _signed_distances(changed(numbers), unit0, unit1) / (scale * spread)

    best = least_squares(errors, np.zeros(7), loss="cauchy").x
    from_pixels = [np.linalg.inv(matrix) for matrix in to_pixels]
    fitted: Floats = from_pixels[1].T @ changed(best) @ from_pixels[0]
    return fitted


def agreeing_with(F: Floats, points0: Floats, points1: Floats, threshold: float) -> TwoViewGeometry | None:
    """A fundamental matrix of any scale with the matches that agree; None where those are fewer than eight."""
    matrix = F / np.linalg.norm(F)
    matrix = matrix * np.sign(matrix.flat[np.abs(matrix).argmax()])
    inliers = sampson_distances(matrix, points0, points1) <= threshold
    return TwoViewGeometry("fundamental", matrix, inliers) if inliers.sum() >= LEAST_MATCHES else None


def sampson_distances(F: Floats, points0: Floats, points1: Floats) -> Floats:
    """How far matches (K, 2) have to move, in both images together and in pixels, to agree with F; to first order.

    Source: Hartley and Zisserman, Multiple View Geometry, second edition, equation 11.9.
    """
    return np.abs(_signed_distances(F, points0, points1))


def _signed_distances(F: Floats, points0: Floats, points1: Floats) -> Floats:
    places0, places1 = (np.column_stack((points, np.ones(len(points)))) for points in (points0, points1))
    lines1, lines0 = places0 @ F.T, places1 @ F
    slopes = np.sqrt((lines1[:, :2] ** 2).sum(axis=1) + (lines0[:, :2] ** 2).sum(axis=1))
    # At both epipoles at once there is no slope, and every place agrees.
    distances: Floats = (places1 * lines1).sum(axis=1) / np.maximum(slopes, np.finfo(np.float64).tiny)
    return distances
