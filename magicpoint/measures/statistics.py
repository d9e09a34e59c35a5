"""Means of what is defined, and their bootstrap intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from .points import as_values


def bootstrap_interval(
    values: ArrayLike, generator: np.random.Generator, level: float = 0.95, count: int = 1000
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean (Efron and Tibshirani, An Introduction to the Bootstrap, chapter 13).

    The values are drawn again with replacement `count` times, and the interval holds the middle share `level` of the
    means. It covers the variation from one value (an image, a pair) to the next, not that of the training.

    Args:
        values: (N,), finite; leave out undefined ones.
        generator: Source of the draws.
        level: Share of the means inside, in (0, 1).
        count: Number of draws.

    Returns:
        The lower and the upper end; both nan without a value.

    Raises:
        ValueError: A value is not finite, or `level` or `count` is out of range.
    """
    # scipy.stats.bootstrap does the same, but it refuses a single value and its name for the generator has changed.
    values = as_values("values", values)
    if not 0 < level < 1 or count < 1:
        raise ValueError(f"level must be in (0, 1) and count at least 1, got {level} and {count}")
    if len(values) == 0:
        return float("nan"), float("nan")
    means = values[generator.integers(0, len(values), (count, len(values)))].mean(axis=1)
    lower, upper = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(lower), float(upper)


def bootstrap_over_groups(
    values: ArrayLike, groups: Sequence[str], generator: np.random.Generator, level: float = 0.95, count: int = 1000
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean, drawing whole groups: pairs of one scene are not independent.

    Groups are drawn with replacement, as many as there are; the mean is over all values of those drawn. With a few
    groups the interval is rough, and with one it has no width.

    Args:
        values: (N,), finite.
        groups: (N,) name of the group of each.
        generator: Source of the draws.
        level: Share of the means inside, in (0, 1).
        count: Number of draws.

    Returns:
        The lower and the upper end; both nan without a value.
    """
    array = np.asarray(values, np.float64)
    if array.shape != (len(groups),):
        raise ValueError(f"need one group for each of {array.shape} values, got {len(groups)}")
    names, member = np.unique(np.asarray(groups, str), return_inverse=True)
    if len(names) == 0:
        return bootstrap_interval(array, generator, level, count)
    sums, sizes = np.bincount(member, weights=array), np.bincount(member)
    drawn = generator.integers(0, len(names), (count, len(names)))
    means = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    lower, upper = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(lower), float(upper)


def mean_of_defined(values: Sequence[float]) -> float:
    """The mean over the values that are not nan; nan without one."""
    defined = [value for value in values if not math.isnan(value)]
    return math.fsum(defined) / len(defined) if defined else float("nan")


def rounded(value: float) -> float:
    """Six digits, as they are written: whoever reads a figure back has the same; nan and infinity stay."""
    return round(float(value), 6)
