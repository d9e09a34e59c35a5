"""What an evaluation on rendered rooms gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ...core.settings import LARGEST_SEED, check_kinds, check_range, check_whole
from ...data.scenes3d.interior import InteriorSettings
from ..methods.base import MethodSettings


@dataclass(frozen=True)
class InteriorsProtocol:
    """The conditions of the comparison.

    Args:
        rooms: Number of pairs, each of a room of its own.
        seed: Together with the number it decides a room and its views.
        max_keypoints: Of each image, before it is known which of them the other view shows.
        nms_radius: See `Selection` for what it means for OpenCV's features.
        border: Pixels at each side of the image without keypoints.
        tolerance: Pixels of view 1, of repeatability, matches and matching score.
        inlier_threshold: Pixels from the epipolar line, of the estimated pose.
        pose_thresholds: Degrees, of the larger error of rotation and direction.
        interior: The rooms and the views.
    """

    rooms: int = 100
    seed: int = 0
    max_keypoints: int = 1000
    nms_radius: int = 4
    border: int = 4
    tolerance: float = 3.0
    inlier_threshold: float = 1.0
    pose_thresholds: tuple[int, ...] = (5, 10, 20)
    interior: InteriorSettings = field(default_factory=lambda: InteriorSettings(least_overlap=0.4))

    def __post_init__(self) -> None:
        check_kinds(self)
        check_whole(self, 1, "rooms", "max_keypoints")
        check_whole(self, 0, "seed", most=LARGEST_SEED)
        check_whole(self, 0, "nms_radius", "border")
        check_range(self, "(0, inf)", "tolerance", "inlier_threshold")


@dataclass(frozen=True)
class RoomResult:
    """What a method came to on the two views of one room.

    Args:
        keypoints: Mean number of both views.
        repeatability: One to one, of the keypoints that both views show; nan where there are none.
        localization_error: Mean distance of the repeated ones in pixels of view 1; nan without one.
        matches: Number of mutual nearest neighbours, or of the matches of a method's own matching.
        matching_accuracy: Share of them that are right.
        matching_score: Share of the keypoints that both views show that are matched rightly, mean of both views; nan
            where there are none.
        pose_error: In degrees; infinite where no pose was found.
    """

    keypoints: float
    repeatability: float
    localization_error: float
    matches: int
    matching_accuracy: float
    matching_score: float
    pose_error: float


@dataclass(frozen=True)
class InteriorsMethodResult:
    """What a method came to on all rooms: means over the rooms where a measure is defined.

    Args:
        keypoints: See `RoomResult`, here and below.
        repeatability: With the localization error of the repeated ones.
        localization_error: In pixels.
        matching_accuracy: Mean over the rooms.
        matching_score: Mean over the rooms.
        pose_accuracy: By threshold in degrees the share of rooms whose pose error is at most that.
        pose_auc: By threshold the area under that share up to it, over the threshold.
        pose_error_median: In degrees.
        rooms: Each room for itself.
    """

    keypoints: float
    repeatability: float
    localization_error: float
    matching_accuracy: float
    matching_score: float
    pose_accuracy: Mapping[int, float]
    pose_auc: Mapping[int, float]
    pose_error_median: float
    rooms: tuple[RoomResult, ...]


@dataclass(frozen=True)
class InteriorsEvaluation:
    """Methods compared on rendered rooms, and all that their measures depend on.

    Args:
        protocol: The conditions.
        photographs: Number of those that paper the rooms.
        digest: SHA-256 of images, intrinsics and poses.
        methods: The settings of each method, by its name.
        versions: Of what the results depend on, by package.
        results: By method.
    """

    protocol: InteriorsProtocol
    photographs: int
    digest: str
    methods: Mapping[str, MethodSettings]
    versions: Mapping[str, str]
    results: Mapping[str, InteriorsMethodResult]
