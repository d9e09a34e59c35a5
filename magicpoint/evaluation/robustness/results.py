"""What an evaluation of robustness gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...core.errors import InputError
from ...core.settings import LARGEST_SEED, check_kinds, check_whole
from ..methods.base import MethodSettings
from .changes import CHANGES


@dataclass(frozen=True)
class RobustnessProtocol:
    """The conditions of the comparison.

    Args:
        photographs: At most this many of those that there are, evenly through their names.
        changes: Names of `changes.CHANGES`.
        longest_side: Larger photographs are shrunk to this many pixels on the longer side first.
        seed: Together with the photograph and the strength it decides the noise.
        max_keypoints: Of each image.
        nms_radius: See `Selection` for what it means for OpenCV's features.
        border: Pixels at each side of the image without keypoints.
    """

    photographs: int = 30
    changes: tuple[str, ...] = tuple(CHANGES)
    longest_side: int = 640
    seed: int = 0
    max_keypoints: int = 1000
    nms_radius: int = 4
    border: int = 4

    def __post_init__(self) -> None:
        check_kinds(self)
        check_whole(self, 1, "photographs", "max_keypoints")
        check_whole(self, 16, "longest_side")
        check_whole(self, 0, "seed", most=LARGEST_SEED)
        check_whole(self, 0, "nms_radius", "border")
        unknown = [name for name in self.changes if name not in CHANGES]
        if unknown or not self.changes:
            raise InputError(f"changes must be at least one of {', '.join(CHANGES)}, got {unknown or 'none'}")


@dataclass(frozen=True)
class Point:
    """A point of the curves: means over the photographs where a measure is defined.

    Args:
        strength: Of the change.
        repeatability: One to one, within 3 px.
        localization_error: Mean distance of the repeated ones, in pixels of the changed image.
        matching_score: Within 3 px; None without descriptors.
        homography_accuracy: Share of photographs whose corners are taken to within 3 px in the mean; None without
            descriptors.
    """

    strength: float
    repeatability: float
    localization_error: float
    matching_score: float | None
    homography_accuracy: float | None


@dataclass(frozen=True)
class RobustnessEvaluation:
    """Methods compared under single changes, and all that their measures depend on.

    Args:
        protocol: The conditions.
        photographs: Number of those that were changed.
        digest: SHA-256 of them.
        methods: The settings of each method, by its name.
        versions: Of what the results depend on, by package.
        curves: By change and method, a point for each strength.
    """

    protocol: RobustnessProtocol
    photographs: int
    digest: str
    methods: Mapping[str, MethodSettings]
    versions: Mapping[str, str]
    curves: Mapping[str, Mapping[str, tuple[Point, ...]]]
