"""What a compared method is: on synthetic shapes a detector, on pairs of photographs a maker of features."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ...core.types import Features

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]

Found = tuple[Floats, Floats]
"""Keypoints (N, 2), (x, y) in pixels, and scores (N,), the larger the more certain."""

MethodSettings = Mapping[str, bool | int | float | str | None]
"""All that decides the result of a method besides what its comparison sets for every method."""


class ShapesMethod(Protocol):
    """Finds keypoints on synthetic shapes."""

    def settings(self) -> MethodSettings:
        """By name."""

    def detect(self, images: Sequence[Image]) -> list[Found]:
        """The keypoints of each uint8 (H, W) image, down to such low scores that precision-recall curves end."""


@dataclass(frozen=True)
class Selection:
    """Which keypoints of a photograph count, alike for every method.

    Args:
        nms_radius: As in `DecodeSettings`; not applied to OpenCV's features where descriptors are wanted: it would
            leave one of several scales and directions at a place, and the paper compares with OpenCV as it is.
        border: Keypoints whose nearest pixel lies in this many at each side of the image are dropped.
        max_keypoints: Of those that are left, the best by score are kept.
        descriptors: Whether descriptors are wanted.
    """

    nms_radius: int
    border: int
    max_keypoints: int
    descriptors: bool


Detect = Callable[[Image], "Features"]
"""From a uint8 (H, W) image to its features, on the CPU, the best first."""


class PairsMethod(Protocol):
    """Finds the keypoints of a photograph, and may describe them."""

    @property
    def has_descriptors(self) -> bool:
        """Whether it can describe the keypoints, so that they can be matched."""

    def settings(self) -> MethodSettings:
        """By name."""

    def prepare(self, selection: Selection) -> Detect:
        """The function that finds the features which a selection keeps."""
