"""What a training run is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from homography import HomographySettings
from synthetic_shapes import ShapeSettings

from .losses import DetectorLoss
from .model import ModelSettings
from .photometric import PhotometricSettings
from .runtime import Precision


@dataclass(frozen=True)
class AugmentationSettings:
    """What is done to each training image.

    Args:
        homographic_probability: Chance of an image to be warped.
        homographic: The warps.
        photometric: The changes of light, lens, sensor and file.
    """

    homographic_probability: float = 0.3
    homographic: HomographySettings = field(default_factory=HomographySettings)
    photometric: PhotometricSettings = field(default_factory=PhotometricSettings)

    def __post_init__(self) -> None:
        if not 0.0 <= self.homographic_probability <= 1.0:
            raise ValueError(f"homographic_probability must be in [0, 1], got {self.homographic_probability}")


@dataclass(frozen=True)
class TrainSettings:
    """One training run.

    Args:
        seed: Decides the initial weights and every sample.
        steps: Optimiser steps in all.
        batch_size: Images of one step, over all processes.
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
        model: The network.
        shapes: What is rendered (without dataset).
        augmentation: What is done to each image.
    """

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

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "log_every", "validate_every", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 0.0 <= self.decay_fraction <= 1.0:
            raise ValueError(f"decay_fraction must be in [0, 1], got {self.decay_fraction}")
        height, width = self.shapes.size
        if height % 8 or width % 8:
            raise ValueError(f"shapes.size must be multiples of 8 for training, got {height}x{width}")
