"""What a training run is made of."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from synthetic_shapes import ShapeSettings

from ..core.machine import Precision
from ..data.settings import AugmentationSettings, PairSettings
from ..model.network import DESCRIPTOR_DIM, ModelSettings
from .losses.detector import DetectorLoss

Task = Literal["magicpoint", "superpoint"]

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
        shapes_share: Share of the pairs that are made of rendered shapes, whose labels are exact, and not of images.
        pairs: The pairs.
    """

    loss: DescriptorLoss = "dual_softmax"
    weight: float = 0.1
    points: int = 256
    certain_score: float = 0.2
    shapes_share: float = 0.1
    pairs: PairSettings = field(default_factory=PairSettings)

    def __post_init__(self) -> None:
        if self.loss not in ("dual_softmax", "sparse", "dense_hinge"):
            raise ValueError(f"loss must be dual_softmax, sparse or dense_hinge, got {self.loss!r}")
        if not self.weight > 0.0:
            raise ValueError(f"weight must be above 0, got {self.weight}")
        if self.points < 2:
            raise ValueError(f"points must be at least 2, got {self.points}")
        if not 0.0 <= self.certain_score <= 1.0:
            raise ValueError(f"certain_score must be in [0, 1], got {self.certain_score}")
        if not 0.0 <= self.shapes_share < 1.0:
            raise ValueError(f"shapes_share must be in [0, 1), got {self.shapes_share}")


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
        for name in ("steps", "batch_size", "log_every", "validate_every", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 0.0 <= self.decay_fraction <= 1.0:
            raise ValueError(f"decay_fraction must be in [0, 1], got {self.decay_fraction}")
        height, width = self.shapes.size
        if height % 8 or width % 8:
            raise ValueError(f"shapes.size must be multiples of 8 for training, got {height}x{width}")

    def _check_task(self) -> None:
        if self.task not in ("magicpoint", "superpoint"):
            raise ValueError(f"task must be magicpoint or superpoint, got {self.task!r}")
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
