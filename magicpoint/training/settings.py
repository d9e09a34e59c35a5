"""What a training run is made of."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from synthetic_shapes import ShapeSettings

from ..core.grid import CELL_SIZE
from ..core.precision import Precision
from ..core.settings import LARGEST_SEED, check_choice, check_range, check_size_hw, check_whole
from ..data.settings import AugmentationSettings, ViewSettings
from ..model.settings import DESCRIPTOR_DIM, ModelSettings

Task = Literal["magicpoint", "superpoint"]

DetectorLoss = Literal["softmax_bce", "cross_entropy", "l2"]

DescriptorLoss = Literal["dual_softmax", "sparse", "dense_hinge"]


@dataclass(frozen=True)
class JointSettings:
    """How detector and descriptors are trained together.

    Args:
        loss: The descriptor loss.
        weight: Factor of the descriptor loss beside the detector loss.
        points: Places of view 0 whose descriptors are compared, at most half of them keypoints (not dense_hinge).
        certain_score: Score from which a label counts fully. A weaker one counts by its share of it, so that the
            detector learns which keypoints are better; 0 counts all fully.
        shapes_share: Share of the views that are made of rendered shapes, whose labels are exact, and not of images.
        views: The views.
    """

    loss: DescriptorLoss = "dual_softmax"
    weight: float = 0.1
    points: int = 256
    certain_score: float = 0.2
    shapes_share: float = 0.1
    views: ViewSettings = field(default_factory=ViewSettings)

    def __post_init__(self) -> None:
        check_choice(self, "loss", get_args(DescriptorLoss))
        check_range(self, "(0, inf)", "weight")
        check_whole(self, 2, "points")
        check_range(self, "[0, 1]", "certain_score")
        check_range(self, "[0, 1)", "shapes_share")


@dataclass(frozen=True)
class TrainSettings:
    """One training run.

    Args:
        task: magicpoint trains a detector on shapes, superpoint a detector and descriptors on pairs of views of
            labelled images.
        images: Images, and folders to search for images (superpoint).
        labels: Their labels, as `magicpoint adapt` writes them for the same images (superpoint).
        start: Weights to begin from, a file, a run's folder or a shipped name; a layer that they lack begins at random,
            and those of a narrower network are widened.
        seed: Decides the initial weights and every sample.
        steps: Optimiser steps in all.
        batch_size: Images of one step, over all processes; superpoint makes a pair of views of each.
        learning_rate: Highest learning rate (AdamW).
        weight_decay: Weight decay of AdamW.
        warmup_steps: Steps in which the learning rate rises linearly to its highest value.
        decay_fraction: Share of the steps, at the end, in which it falls linearly to zero.
        gradient_clip: Largest norm of the gradient.
        loss: The detector loss.
        label_sigma: Width (pixels) of the Gaussians that the detector learns at the sub-pixel positions of the
            keypoints; 0 teaches whole pixels.
        precision: Number format of the network's layers; auto takes bfloat16 where it is measured to be faster.
        workers: Processes that prepare the data.
        log_every: Steps between two lines of metrics.jsonl.
        validate_every: Steps between two validations.
        checkpoint_every: Steps between two checkpoints.
        tensorboard: Write the metrics for TensorBoard, too (needs the extra of that name).
        dataset: A folder written by `magicpoint generate`; by default images are rendered as they are needed.
        model: The network; for superpoint a descriptor_dim of 0 stands for the paper's 256.
        shapes: What is rendered (without dataset).
        augmentation: What is done to each image (magicpoint).
        joint: What superpoint does with the labelled images.
    """

    task: Task = "magicpoint"
    images: tuple[Path, ...] = ()
    labels: Path | None = None
    start: str | None = None
    seed: int = 0
    steps: int = 2400
    batch_size: int = 32
    learning_rate: float = 4e-3
    weight_decay: float = 1e-2
    warmup_steps: int = 300
    decay_fraction: float = 0.4
    gradient_clip: float = 1.0
    loss: DetectorLoss = "softmax_bce"
    label_sigma: float = 0.6
    precision: Precision = "auto"
    workers: int = 1
    log_every: int = 20
    validate_every: int = 200
    checkpoint_every: int = 200
    tensorboard: bool = False
    dataset: Path | None = None
    model: ModelSettings = field(default_factory=ModelSettings)
    shapes: ShapeSettings = field(default_factory=ShapeSettings)
    augmentation: AugmentationSettings = field(default_factory=AugmentationSettings)
    joint: JointSettings = field(default_factory=JointSettings)

    def __post_init__(self) -> None:
        self._check_task()
        check_whole(self, 1, "steps", "batch_size", "log_every", "validate_every", "checkpoint_every")
        check_whole(self, 0, "warmup_steps", "workers")
        check_whole(self, 0, "seed", most=LARGEST_SEED)
        check_range(self, "(0, inf)", "learning_rate")
        check_range(self, "[0, inf)", "weight_decay", "label_sigma")
        check_range(self, "[0, 1]", "decay_fraction")
        check_range(self, "(0, inf]", "gradient_clip")
        check_choice(self, "loss", get_args(DetectorLoss))
        check_choice(self, "precision", get_args(Precision))
        check_size_hw(self, CELL_SIZE, "shapes.size_hw")

    def _check_task(self) -> None:
        check_choice(self, "task", get_args(Task))
        labelled = bool(self.images), self.labels is not None
        if self.task == "superpoint" and not all(labelled):
            raise ValueError("superpoint learns from labelled images: both images and labels are needed")
        if self.task == "magicpoint" and any(labelled):
            raise ValueError("magicpoint learns from shapes: images and labels are for superpoint")
        if self.task == "magicpoint" and self.model.descriptor_dim:
            raise ValueError(f"magicpoint has no descriptors, but model.descriptor_dim is {self.model.descriptor_dim}")
        if self.task == "superpoint" and not self.model.descriptor_dim:
            with_descriptors = dataclasses.replace(self.model, descriptor_dim=DESCRIPTOR_DIM)
            object.__setattr__(self, "model", with_descriptors)
