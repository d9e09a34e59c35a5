"""The settings of the detector of quadrilaterals and of its training. They load no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from ..core.errors import InputError
from ..core.settings import LARGEST_SEED, check_kinds, check_range, check_whole
from ..training.tasks.settings import TaskSettings
from .scenes import SceneSettings

Pooling = Literal["parallelogram", "rectified", "upright"]
AssignmentName = Literal["free_anchor", "iou_rule"]

ENCODER_LAYERS = 8


@dataclass(frozen=True)
class QuadModelSettings:
    """The form of the detector.

    Args:
        width: Factor on the channels of the encoder; 1 is the paper's network.
        neck: Channels of the layers between the encoder and the stages.
        anchor_sides: Square roots of the anchors' areas, in pixels.
        anchor_aspects: Width over height of the anchors.
        proposals: Quadrilaterals of an image that the second stage looks at in training.
        proposal_iou: Of two proposals that overlap by more than this the better is kept.
        pooling: The frame in which a proposal's features are pooled: the parallelogram nearest to it, the square from
            which its own homography takes it, or the box around it.
        pooled_side: Samples each way.
        stages: 1 leaves the second stage out.
    """

    width: float = 0.5
    neck: int = 64
    anchor_sides: tuple[float, ...] = (24.0, 48.0, 96.0, 160.0)
    anchor_aspects: tuple[float, ...] = (1.0,)
    proposals: int = 32
    proposal_iou: float = 0.7
    pooling: Pooling = "parallelogram"
    pooled_side: int = 24
    stages: Literal[1, 2] = 2

    def __post_init__(self) -> None:
        check_kinds(self)
        check_range(self, "(0, 4]", "width")
        check_range(self, "(0, 1]", "proposal_iou")
        check_whole(self, 1, "neck", "proposals", "pooled_side")
        for name in ("anchor_sides", "anchor_aspects"):
            values = getattr(self, name)
            if not values or not all(0.0 < value < float("inf") for value in values):
                raise InputError(f"{name} must be positive numbers, at least one, got {values}")


@dataclass(frozen=True, kw_only=True)
class QuadTaskSettings(TaskSettings):
    """A detector learns the quadrilaterals of known planar things in rendered scenes.

    Args:
        templates: What is to be found: images, and folders to search for images.
        backgrounds: What hangs behind and in front: images, and folders to search for images; without any, textures
            are drawn.
        boards: So many drawn boards and cards are to be found beside the templates.
        holdout: Share of the templates and of the backgrounds that are not trained on but judged by; the name of an
            image decides it.
        least_visible: A template of which a smaller share is seen is no object.
        assignment: How anchors learn objects: in competition (free_anchor), or by their overlap alone (iou_rule).
        frozen: So many layers of the encoder, the first ones, stay as the weights have them from which training starts.
        scenes: How scenes are made.
        model: The network.
    """

    name: ClassVar[str] = "quads"
    implementation: ClassVar[str] = "magicpoint.planar.task:QuadTask"

    templates: tuple[Path, ...] = ()
    backgrounds: tuple[Path, ...] = ()
    boards: int = 64
    holdout: float = 0.1
    least_visible: float = 0.5
    assignment: AssignmentName = "free_anchor"
    frozen: int = 0
    scenes: SceneSettings = field(default_factory=SceneSettings)
    model: QuadModelSettings = field(default_factory=QuadModelSettings)

    def __post_init__(self) -> None:
        check_kinds(self)
        check_whole(self, 0, "boards")
        check_whole(self, 0, "frozen", most=ENCODER_LAYERS)
        check_range(self, "(0, 1)", "holdout")
        check_range(self, "[0, 1]", "least_visible")
        if not self.templates and not self.boards:
            raise InputError("there is nothing to be found: give templates, or boards above 0")


@dataclass(frozen=True)
class SceneFilesSettings:
    """A folder of scenes.

    Args:
        count: Number of scenes; a larger one keeps those of a smaller one.
        seed: Decides every scene.
        boards: So many drawn boards and cards are templates, too.
        scenes: How scenes are made.
    """

    count: int = 100
    seed: int = 0
    boards: int = 0
    scenes: SceneSettings = field(default_factory=SceneSettings)

    def __post_init__(self) -> None:
        check_kinds(self)
        check_whole(self, 1, "count", most=10**8)
        check_whole(self, 0, "boards")
        check_whole(self, 0, "seed", most=LARGEST_SEED)
