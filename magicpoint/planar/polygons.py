"""How much two quadrilaterals have in common, and which of many are kept."""

from __future__ import annotations

from types import ModuleType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.extras import require

Floats = NDArray[np.float64]


def polygon_iou(quads0: ArrayLike, quads1: ArrayLike) -> NDArray[np.float64]:
    """The intersection over union of quadrilaterals, each of the one with each of the other.

    A quadrilateral that crosses itself, as a detector may propose, counts as the convex hull of its corners. The order
    of the corners does not matter, neither where it begins nor its direction.

    Args:
        quads0: (N, 4, 2), (x, y); one without area has an IoU of 0 with all.
        quads1: (M, 4, 2).

    Returns:
        float64 (N, M) in [0, 1].

    Raises:
        ValueError: A shape does not fit, or a value is not finite.
    """
    shared, areas0, areas1 = _shared_areas(quads0, quads1)
    return _share(shared, areas0[:, None] + areas1 - shared)


def share_inside(quads0: ArrayLike, quads1: ArrayLike) -> NDArray[np.float64]:
    """The share of each quadrilateral of the one that lies in each of the other.

    Args:
        quads0: (N, 4, 2), (x, y); one without area lies in none.
        quads1: (M, 4, 2).

    Returns:
        float64 (N, M) in [0, 1].

    Raises:
        ValueError: A shape does not fit, or a value is not finite.
    """
    shared, areas0, _ = _shared_areas(quads0, quads1)
    return _share(shared, areas0[:, None])


def suppress_quads(
    quads: ArrayLike, scores: ArrayLike, largest_iou: float, most: int | None = None
) -> NDArray[np.intp]:
    """Greedy non-maximum suppression of quadrilaterals: the best first, without those that overlap a better one.

    Args:
        quads: (N, 4, 2).
        scores: (N,); among equals the first is the best.
        largest_iou: One is dropped where its `polygon_iou` with one that is kept is larger.
        most: So many are kept at most.

    Returns:
        Indices of those that are kept, the best first.
    """
    shapely = require("shapely", "planar")
    polygons = _as_polygons(quads, shapely)
    areas, bounds = shapely.area(polygons), shapely.bounds(polygons).reshape(-1, 4)
    left = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    kept: list[int] = []
    while len(left) and (most is None or len(kept) < most):
        best, left = left[0], left[1:]
        kept.append(int(best))
        # What the boxes share bounds what the polygons share, so that few of these need be intersected.
        sides = np.minimum(bounds[best, 2:], bounds[left, 2:]) - np.maximum(bounds[best, :2], bounds[left, :2])
        close = sides.clip(0.0).prod(axis=1) > largest_iou * np.maximum(areas[best], areas[left])
        shared = shapely.area(shapely.intersection(polygons[best], polygons[left[close]]))
        overlapping = close.copy()
        overlapping[close] = shared > largest_iou * (areas[best] + areas[left[close]] - shared)
        left = left[~overlapping]
    return np.array(kept, np.intp)


def _shared_areas(quads0: ArrayLike, quads1: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """The area that each of the one shares with each of the other, (N, M), and their own areas, (N,) and (M,)."""
    shapely = require("shapely", "planar")
    polygons0, polygons1 = (_as_polygons(quads, shapely) for quads in (quads0, quads1))
    index0, index1 = shapely.STRtree(polygons1).query(polygons0) if len(polygons0) and len(polygons1) else ([], [])
    shared = np.zeros((len(polygons0), len(polygons1)))
    shared[index0, index1] = shapely.area(shapely.intersection(polygons0[index0], polygons1[index1]))
    return shared, shapely.area(polygons0), shapely.area(polygons1)


def _share(part: Floats, whole: Floats) -> Floats:
    """In [0, 1]; nothing of nothing is nothing."""
    whole = np.broadcast_to(whole, part.shape)
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0).clip(0.0, 1.0)


def _as_polygons(quads: ArrayLike, shapely: ModuleType) -> NDArray[np.object_]:
    array = np.asarray(quads, np.float64)
    if array.ndim != 3 or array.shape[1:] != (4, 2):
        raise ValueError(f"quadrilaterals must have shape (N, 4, 2), got {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError("corners must be finite")
    polygons: NDArray[np.object_] = np.asarray(shapely.polygons(array), np.object_).reshape(len(array))
    crossing = ~shapely.is_valid(polygons)
    polygons[crossing] = shapely.convex_hull(polygons[crossing])
    return polygons
