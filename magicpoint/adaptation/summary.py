"""Whether labels are good: their counts and their distance from the border."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..core.types import Labels

PERCENTILES = (0, 5, 25, 50, 75, 95, 100)
BORDER_EDGES = (0, 4, 8, 12, 16, 24, 32, 64)
"""Distances from the image's border, in pixels as the detector saw them, between which points are counted."""

SUSPICIOUS_EMPTY_SHARE = 0.05
SUSPICIOUS_SKIPPED_SHARE = 0.05
SUSPICIOUS_DENSITY = 2.0


@dataclasses.dataclass(frozen=True)
class BorderBin:
    """Points in a ring along the border.

    Args:
        start: Smallest distance of a point's pixel from the outermost pixels; 0 is on them.
        end: Where the next ring starts; None for the last, which reaches the middle.
        share: Of all points.
        density: Points for each valid pixel of the ring, over the same for whole images: 1 where there is no more
            and no less than elsewhere; None where no pixel is valid.
    """

    start: int
    end: int | None
    share: float
    density: float | None


@dataclasses.dataclass(frozen=True)
class LabelReport:
    """What the labels of a set of images look like.

    Args:
        images: Number of images with labels, which may be none.
        skipped: Number of images that could not be read.
        points: Number of points in all images.
        points_mean: Points of an image.
        points_percentiles: The same by percentile, from the fewest (0) to the most (100).
        empty_share: Share of the images without a point.
        score_median: Of all points; None without any.
        valid_share: Share of the pixels where labels are known.
        border: From the border to the middle.
        images_per_second: Of the images labelled in this run; None if there were none.
        labels_per_hour: Images that this rate labels in an hour.
        warnings: What should be looked at before anything is trained on the labels.
        kept: Of the images with labels, how many had them before this run; see `io.earlier.Outcome`.
        new: How many had none.
        changed: How many had changed.
        dropped: Number of images of the earlier file that this one does not have.
        unread: Number of those that could not be read now and kept their earlier labels.
    """

    images: int
    skipped: int
    points: int
    points_mean: float
    points_percentiles: Mapping[str, float]
    empty_share: float
    score_median: float | None
    valid_share: float
    border: tuple[BorderBin, ...]
    images_per_second: float | None
    labels_per_hour: float | None
    warnings: tuple[str, ...]
    kept: int = 0
    new: int = 0
    changed: int = 0
    dropped: int = 0
    unread: int = 0


def summarise_labels(
    labels: Mapping[str, Labels], longest_side: int | None = None, images_per_second: float | None = None
) -> LabelReport:
    """Count the labels of images.

    Args:
        labels: By key; those of `io.labels.read_labels` with their `skipped`.
        longest_side: To which larger images were shrunk for the detector.
        images_per_second: The rate to report.
    """
    counts, scores = [], []
    rings = np.zeros((2, len(BORDER_EDGES)))  # points and valid pixels
    seen = pixels = 0
    for image in labels.values():
        counts.append(len(image))
        scores.append(image.keypoint_scores.numpy())
        rings += _count_rings(image, longest_side)
        seen, pixels = seen + int(image.valid_mask.sum()), pixels + image.valid_mask.numel()
    all_scores = np.concatenate([np.empty(0, np.float32), *scores])
    border = _border(*rings.tolist())
    empty = [key for key, count in zip(labels, counts, strict=True) if count == 0]
    skipped = len(getattr(labels, "skipped", {}))
    return LabelReport(
        images=len(counts),
        skipped=skipped,
        points=sum(counts),
        points_mean=float(np.mean(counts or 0)),
        points_percentiles={str(p): float(np.percentile(counts or 0, p)) for p in PERCENTILES},
        empty_share=len(empty) / max(1, len(counts)),
        score_median=float(np.median(all_scores)) if all_scores.size else None,
        valid_share=seen / max(1, pixels),
        border=border,
        images_per_second=images_per_second,
        labels_per_hour=None if images_per_second is None else 3600 * images_per_second,
        warnings=_warnings(empty, len(counts), skipped, border),
    )


def _count_rings(image: Labels, longest_side: int | None) -> NDArray[np.float64]:
    """The points and the valid pixels between the `BORDER_EDGES`, (2, number of edges)."""
    width, height = image.image_size
    scale = 1.0 if longest_side is None else min(1.0, longest_side / max(width, height))
    columns, rows = (np.minimum(np.arange(side), np.arange(side)[::-1]) for side in (width, height))
    depth = np.minimum(rows[:, None], columns)
    ring = np.digitize(depth * scale, BORDER_EDGES) - 1
    places = image.keypoints.round().long().numpy()
    points = np.bincount(ring[places[:, 1], places[:, 0]], minlength=len(BORDER_EDGES))
    area = np.bincount(ring[image.valid_mask.numpy()], minlength=len(BORDER_EDGES))
    return np.stack([points, area]).astype(np.float64)


def _border(points: Sequence[float], area: Sequence[float]) -> tuple[BorderBin, ...]:
    total, whole = sum(points), sum(area)
    edges = [*pairwise(BORDER_EDGES), (BORDER_EDGES[-1], None)]
    return tuple(
        BorderBin(start, end, n / total if total else 0.0, (n / a) / (total / whole) if a and total else None)
        for (start, end), n, a in zip(edges, points, area, strict=True)
    )


def _warnings(empty: Sequence[str], images: int, skipped: int, border: Sequence[BorderBin]) -> tuple[str, ...]:
    warnings = []
    if images and len(empty) > SUSPICIOUS_EMPTY_SHARE * images:
        warnings.append(
            f"{len(empty) / images:.0%} of the images have no point, such as {', '.join(empty[:3])}: look at them; "
            "lower the threshold, or leave them out"
        )
    if images and skipped > SUSPICIOUS_SKIPPED_SHARE * (images + skipped):
        warnings.append(f"{skipped} of {images + skipped} images could not be read")
    warnings += [
        f"{ring.density:.1f} times as many points as elsewhere lie {ring.start} to {ring.end} pixels from the border: "
        "enlarge the erosion"
        for ring in border[:4]
        if ring.density is not None and ring.density > SUSPICIOUS_DENSITY
    ]
    return tuple(warnings)


def format_labels(report: LabelReport) -> str:
    """The report as text for a terminal."""
    percentiles = ", ".join(f"{p} %: {value:.0f}" for p, value in report.points_percentiles.items())
    lines = [
        f"images labelled      {report.images} ({report.skipped} skipped, {report.empty_share:.1%} without a point)",
        f"points               {report.points}, {report.points_mean:.1f} an image ({percentiles})",
        f"median score         {'-' if report.score_median is None else f'{report.score_median:.3f}'}",
        f"labels known in      {report.valid_share:.1%} of the pixels",
    ]
    if report.images_per_second is not None:
        lines.append(
            f"speed                {report.images_per_second:.3g} images/s, {report.labels_per_hour:.0f} images an hour"
        )
    lines += ["", "px from the border   share of points   density, 1 is that of the whole image"]
    for ring in report.border:
        distance = f"{ring.start} and more" if ring.end is None else f"{ring.start} to {ring.end}"
        density = "-" if ring.density is None else f"{ring.density:.2f}"
        lines.append(f"{distance:20s} {ring.share:15.1%} {density:>9s}")
    return "\n".join([*lines, *(f"WARNING: {warning}" for warning in report.warnings)])
