"""The settings of each task: what it learns from, and how. They load no torch, so `--help` does not wait for it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from homography import HomographySettings
from synthetic_shapes.sample import ShapeSettings

from ...core.errors import InputError
from ...core.grid import CELL_SIZE
from ...core.settings import check_kinds, check_range, check_size_hw, check_whole
from ...data.settings import AugmentationSettings, ViewSettings
from ...model.settings import DESCRIPTOR_DIM, MatcherForm, ModelSettings
from ..losses.names import DescriptorLoss, DetectorLoss


@dataclass(frozen=True)
class TaskSettings:
    """The settings of a task: a frozen dataclass whose fields have other names than those of `TrainSettings`."""

    name: ClassVar[str]
    """What the task is called on the command line and in files of settings."""

    implementation: ClassVar[str]
    """Where its `Task` is, `package.module:Class`, which `open_task` calls with the settings and those of the run."""


@dataclass(frozen=True, kw_only=True)
class PointTaskSettings(TaskSettings):
    """How a detector learns.

    Args:
        detector_loss: The detector loss.
        model: The network.
    """

    detector_loss: DetectorLoss = "softmax_bce"
    model: ModelSettings = field(default_factory=ModelSettings)

    def __post_init__(self) -> None:
        check_kinds(self)


@dataclass(frozen=True, kw_only=True)
class LabelledTaskSettings(PointTaskSettings):
    """How a detector learns from labels.

    Args:
        label_sigma: Width (pixels) of the Gaussians that the detector learns at the sub-pixel positions of the
            keypoints; 0 teaches whole pixels.
    """

    label_sigma: float = 0.6

    def __post_init__(self) -> None:
        check_kinds(self)
        check_range(self, "[0, 100]", "label_sigma")


@dataclass(frozen=True, kw_only=True)
class MagicPointSettings(LabelledTaskSettings):
    """A detector learns the corners of shapes, or the points of labelled images.

    Args:
        dataset: A folder written by `magicpoint generate`; by default images are rendered as they are needed.
        images: In place of shapes: images, tar files of images, and folders to search; lists of these and addresses.
        labels: The labels of these images, as `magicpoint labels` writes them of points of your own.
        holdout: Share of the labelled images that are not trained on but judged by; the name of an image decides it.
        smallest_scale: Of labelled images parts are shown, at their own scale or shrunk to this at most.
        shapes: What is rendered (without dataset and labels), and the size of the images: of those of the validation,
            and of the parts of labelled images.
        augmentation: What is done to each image.
    """

    name: ClassVar[str] = "magicpoint"
    implementation: ClassVar[str] = "magicpoint.training.tasks.magicpoint:MagicPointTask"

    dataset: Path | None = None
    images: tuple[Path, ...] = ()
    labels: Path | None = None
    holdout: float = 0.1
    smallest_scale: float = 0.7
    shapes: ShapeSettings = field(default_factory=ShapeSettings)
    augmentation: AugmentationSettings = field(default_factory=AugmentationSettings)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_size_hw(self, CELL_SIZE, "shapes.size_hw")
        check_range(self, "(0, 1)", "holdout")
        check_range(self, "(0, 1]", "smallest_scale")
        if bool(self.images) != (self.labels is not None):
            lacking = "labels" if self.images else "images"
            raise InputError(f"{lacking} must be given with {'images' if self.images else 'labels'}, got none")
        if self.dataset is not None and self.labels is not None:
            raise InputError(f"dataset must not be given beside labels, got {self.dataset}")
        if self.model.descriptor_dim:
            raise InputError(f"model.descriptor_dim must be 0 in a detector, got {self.model.descriptor_dim}")


@dataclass(frozen=True, kw_only=True)
class ViewLossSettings:
    """What is learnt of two views of an image.

    Args:
        descriptor_loss: The descriptor loss.
        descriptor_weight: Factor of the descriptor loss beside the detector loss.
        descriptor_temperature: What dual_softmax divides the similarities by; the smaller, the more the most similar
            negatives count.
        descriptor_points: Places of view 0 whose descriptors are compared, at most half of them keypoints (not
            dense_hinge).
        views: How two views are made of one image.
    """

    descriptor_loss: DescriptorLoss = "dual_softmax"
    descriptor_weight: float = 0.1
    descriptor_temperature: float = 0.1
    descriptor_points: int = 256
    views: ViewSettings = field(default_factory=ViewSettings)

    def __post_init__(self) -> None:
        check_kinds(self)
        check_range(self, "(0, inf)", "descriptor_weight", "descriptor_temperature")
        check_whole(self, 2, "descriptor_points")


@dataclass(frozen=True, kw_only=True)
class JointSettings(ViewLossSettings):
    """How detector and descriptors are trained together, from labels.

    Args:
        certain_score: Score from which a label counts fully. A weaker one counts by its share of it, so that the
            detector learns which keypoints are better; 0 counts all fully.
        shapes_share: Share of the views that are made of rendered shapes, whose labels are exact, and not of images.
    """

    certain_score: float = 0.2
    shapes_share: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "[0, 1]", "certain_score")
        check_range(self, "[0, 1)", "shapes_share")


@dataclass(frozen=True, kw_only=True)
class SuperPointSettings(JointSettings, LabelledTaskSettings):
    """A detector and descriptors learn from labelled images.

    Args:
        images: Images, tar files of images, and folders to search; lists of these and addresses.
        labels: Their labels, as `magicpoint adapt` writes them for the same images.
        shapes: What is rendered for the share of shapes.
    """

    name: ClassVar[str] = "superpoint"
    implementation: ClassVar[str] = "magicpoint.training.tasks.superpoint:SuperPointTask"

    images: tuple[Path, ...]
    labels: Path
    shapes: ShapeSettings = field(default_factory=ShapeSettings)
    model: ModelSettings = field(default_factory=lambda: ModelSettings(descriptor_dim=DESCRIPTOR_DIM))

    def __post_init__(self) -> None:
        LabelledTaskSettings.__post_init__(self)
        JointSettings.__post_init__(self)
        _check_images(self.images)
        _check_describes(self)


@dataclass(frozen=True, kw_only=True)
class DistilSettings(ViewLossSettings, PointTaskSettings):
    """A network, a smaller one above all, learns another one's detector, and descriptors, from images without labels.

    Args:
        images: Images, and folders to search for images.
        teacher: Weights whose heatmap is learnt, a shipped name, a file or a run's folder; they stay as they are.
        cornerness: Whether that heatmap is weighed by how much the image changes around each pixel before it is learnt.
    """

    name: ClassVar[str] = "distil"
    implementation: ClassVar[str] = "magicpoint.training.tasks.distil:DistilTask"

    images: tuple[Path, ...]
    teacher: str
    cornerness: bool = False
    model: ModelSettings = field(default_factory=lambda: ModelSettings(width=0.25, descriptor_dim=DESCRIPTOR_DIM))

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_images(self.images)
        _check_describes(self)


def _check_images(images: tuple[Path, ...]) -> None:
    if not images:
        raise InputError("images must be at least one, got none")


def _check_describes(settings: SuperPointSettings | DistilSettings) -> None:
    check_whole(settings, 1, "model.descriptor_dim")
    if settings.model.descriptor_sampling != "centres":
        raise InputError(f"model.descriptor_sampling is of imported weights alone, got {settings.model}")


@dataclass(frozen=True, kw_only=True)
class MatcherTaskSettings(TaskSettings):
    """A matcher learns which keypoints of two views of an image belong together, from images without labels.

    Args:
        images: Images, and folders to search for images.
        features: Weights whose features are matched, a shipped name, a file or a run's folder; they stay as they are.
        pairs: So many pairs of views are made, and then seen again in another order.
        keypoints: Of each view that a step takes, or all where there are fewer: of half of the views the best.
        cache: A folder in which the features of the pairs are kept (0.3 MB a pair), for the next time that they are
            seen, here or in another run; null finds them anew.
        rooms_share: Share of the pairs that are views of a rendered room whose walls and things show the images, with
            depth and what it hides; the others are of one image under homographies.
        views: How two views are made of one image.
        model: The network.
    """

    name: ClassVar[str] = "matcher"
    implementation: ClassVar[str] = "magicpoint.training.tasks.matcher:MatcherTask"

    images: tuple[Path, ...]
    features: str
    pairs: int = 4000
    keypoints: int = 256
    cache: Path | None = None
    rooms_share: float = 0.3
    views: ViewSettings = field(
        default_factory=lambda: ViewSettings(
            (240, 320),
            homographic=HomographySettings(scale=0.5, rotation=math.pi / 3, perspective=0.25, patch_ratio=0.75),
        )
    )
    model: MatcherForm = field(default_factory=MatcherForm)

    def __post_init__(self) -> None:
        check_kinds(self)
        check_whole(self, 1, "pairs", "keypoints")
        check_range(self, "[0, 1]", "rooms_share")
        _check_images(self.images)
