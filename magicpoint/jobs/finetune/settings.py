"""How a network learns a folder of images."""

from __future__ import annotations

import dataclasses

from ...adaptation.settings import AdaptationSettings
from ...core.errors import InputError
from ...core.precision import Precision
from ...core.settings import LARGEST_SEED, MOST_IMAGES_OF_A_STEP, MOST_WORKERS, check_kinds, check_range, check_whole
from ...io.reading import ImageReading
from ...training.tasks.settings import JointSettings

# Training shows half an image or more in 160x120 pixels, so larger ones would cost time and add nothing. A weak label
# counts little (`JointSettings.certain_score`), so that many of them do no harm and tell texture from nothing.
_ADAPTATION = AdaptationSettings(count=50, threshold=0.005, longest_side=320)


@dataclasses.dataclass(frozen=True)
class FinetuneSettings:
    """How a network learns a folder of images.

    Args:
        weights: Weights that label the images in round 1, and from which training begins: a file, a run's folder or a
            shipped name. A detector alone, such as magicpoint, gets descriptors.
        width: Width of the network from round 1 on, at least that of the weights: it begins as a network that computes
            the same. null: the width of the weights.
        rounds: How often to label and train; each further round labels and begins with the network of the one before.
        students: Widths of smaller networks, which learn from nothing what the last round's network finds.
        steps: Optimiser steps of each round, and of each student.
        batch_size: Pairs of views of one step.
        learning_rate: Highest learning rate (AdamW).
        seed: Decides every sample and the views of the evaluation.
        precision: Number format of the layers in training; auto takes bfloat16 where it is measured to be faster.
        workers: Processes that prepare the training data.
        range: Which stored values become black and white: auto, full, or LOW,HIGH; see `io.reading.ImageReading`.
        max_megapixels: An image that says it has more pixels is refused before memory is taken for it.
        adaptation: How the images are labelled.
        joint: How detector and descriptors are trained together.
    """

    weights: str = "superpoint"
    width: float | None = None
    rounds: int = 1
    students: tuple[float, ...] = ()
    steps: int = 3000
    batch_size: int = 16
    learning_rate: float = 2e-3
    seed: int = 0
    precision: Precision = "auto"
    workers: int = 1
    range: str = "auto"
    max_megapixels: float = 200.0
    adaptation: AdaptationSettings = dataclasses.field(default_factory=lambda: _ADAPTATION)
    joint: JointSettings = dataclasses.field(default_factory=JointSettings)

    def __post_init__(self) -> None:
        check_kinds(self)
        check_whole(self, 1, "batch_size", most=MOST_IMAGES_OF_A_STEP)
        check_whole(self, 1, "rounds", "steps")
        check_whole(self, 0, "workers", most=MOST_WORKERS)
        check_whole(self, 0, "seed", most=LARGEST_SEED)
        check_range(self, "(0, inf)", "learning_rate")
        if self.width is not None:
            check_range(self, "(0, 4]", "width")
        if not all(0 < width <= 4 for width in self.students) or len(set(self.students)) < len(self.students):
            raise InputError(f"students must be different widths in (0, 4], got {list(self.students)}")
        _ = self.reading

    @property
    def reading(self) -> ImageReading:
        """How the images are read."""
        return ImageReading(self.range, self.max_megapixels)
