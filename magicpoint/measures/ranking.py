"""How well scores tell two kinds apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .points import as_values


def roc_auc(scores: ArrayLike, positive: ArrayLike) -> float:
    """The area under the receiver operating characteristic.

    It is the chance that a positive has a larger score than a negative, where equal ones count as half (Hanley and
    McNeil, Radiology 143, 1982).

    Args:
        scores: (N,), finite.
        positive: bool (N,).

    Returns:
        In [0, 1]; nan where one of the kinds is missing.

    Examples:
        >>> roc_auc([0.9, 0.5, 0.5, 0.1], [True, True, False, False])
        0.875
    """
    values, chosen = as_values("scores", scores), np.asarray(positive, np.bool_)
    if values.shape != chosen.shape:
        raise ValueError(f"need one bool for each of {values.shape} scores, got {chosen.shape}")
    count = int(chosen.sum())
    if count in (0, len(values)):
        return float("nan")
    _, group, sizes = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(sizes) - (sizes - 1) / 2)[group]
    return float((ranks[chosen].sum() - count * (count + 1) / 2) / (count * (len(values) - count)))
