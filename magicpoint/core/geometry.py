"""What ties two views of a scene together."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
from numpy.typing import NDArray

GeometryModel = Literal["homography", "fundamental", "essential"]


@dataclasses.dataclass(frozen=True, eq=False)
class TwoViewGeometry:
    """What ties two views of a scene together, and which matches agree with it.

    With x0 and x1 the places (x, y, 1) of a match, in pixels whose centres are at whole numbers:

    | model | scene | matrix |
    |---|---|---|
    | homography | flat, or a camera that only turns | H, with x1 ~ H x0 |
    | fundamental | any that stands still | F, with x1ᵀ F x0 = 0 |
    | essential | likewise, cameras K0 and K1 known | E, with (K1⁻¹ x1)ᵀ E (K0⁻¹ x0) = 0 |

    Args:
        model: Which of them.
        matrix: float64 (3, 3), from image 0 to image 1.
        inliers: bool (K,) of the matches that were given.
        R: float64 (3, 3), with an essential matrix: a point p of the first camera is at R p + s t in the second, for
            some s > 0 that no image tells.
        t: float64 (3,) of length 1, likewise.
    """

    model: GeometryModel
    matrix: NDArray[np.float64]
    inliers: NDArray[np.bool_]
    R: NDArray[np.float64] | None = None
    t: NDArray[np.float64] | None = None
