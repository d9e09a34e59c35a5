"""What a training run is made of."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

from ..core.errors import InputError
from ..core.precision import Precision
from ..core.settings import LARGEST_SEED, MOST_IMAGES_OF_A_STEP, MOST_WORKERS, check_kinds, check_range, check_whole
from .tasks.settings import MagicPointSettings, TaskSettings

LONGEST_WARMUP = 300


@dataclass(frozen=True)
class TrainSettings:
    """One training run: what every run has, and what the task makes of it.

    Args:
        task: What is learnt, from what, by which network: the settings of a task, such as `MagicPointSettings` and
            `SuperPointSettings`. On the command line and in files of settings these stand beside the others, and
            `task` is the name.
        start: Weights to begin from, a file, a run's folder or a shipped name; a layer that they lack begins at random,
            and those of a narrower network are widened.
        seed: Decides the initial weights and every sample.
        steps: Optimiser steps in all.
        batch_size: Images of one step, over all processes; superpoint makes two views of each.
        accumulate: Parts in which each process takes its share of a step, one after the other, so that less memory is
            needed; BatchNorm then sees a part at a time.
        sync_batch_norm: Take BatchNorm's statistics over all processes, not each over its own images.
        learning_rate: Highest learning rate (AdamW).
        weight_decay: Weight decay of AdamW.
        warmup_steps: Steps in which the learning rate rises linearly to its highest value; null takes an eighth of the
            steps, 300 at most.
        decay_fraction: Share of the steps, at the end, in which it falls linearly to zero.
        gradient_clip: Largest norm of the gradient.
        averaging: Share that each step leaves of a running average of the weights (exponential moving average). That
            average is then validated and written as weights; 0 takes the weights themselves.
        precision: Number format of the network's layers; auto takes bfloat16 where it is measured to be faster.
            float16, for GPUs without bfloat16, scales the loss so that gradients stay within it; a step in which they
            do not is skipped, and counted as `skipped` in metrics.jsonl.
        workers: Processes that prepare the data.
        log_every: Steps between two lines of metrics.jsonl.
        validate_every: Steps between two validations.
        checkpoint_every: Steps between two checkpoints.
        tensorboard: Write the metrics for TensorBoard, too (needs the extra of that name).
    """

    task: TaskSettings = field(default_factory=MagicPointSettings)
    start: str | None = None
    seed: int = 0
    steps: int = 2400
    batch_size: int = 32
    accumulate: int = 1
    sync_batch_norm: bool = False
    learning_rate: float = 4e-3
    weight_decay: float = 1e-2
    warmup_steps: int | None = None
    decay_fraction: float = 0.4
    gradient_clip: float = 1.0
    averaging: float = 0.0
    precision: Precision = "auto"
    workers: int = 1
    log_every: int = 20
    validate_every: int = 200
    checkpoint_every: int = 200
    tensorboard: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.task, TaskSettings):
            raise TypeError(f"task must be the settings of a task, got {self.task!r}")
        check_kinds(self)
        check_whole(self, 1, "batch_size", "accumulate", most=MOST_IMAGES_OF_A_STEP)
        check_whole(self, 1, "steps", "log_every", "validate_every", "checkpoint_every")
        check_whole(self, 0, "workers", most=MOST_WORKERS)
        if self.warmup_steps is not None:
            check_whole(self, 0, "warmup_steps")
            if self.warmup_steps > self.steps:
                raise InputError(f"warmup_steps must be at most the {self.steps} steps, got {self.warmup_steps}")
        check_whole(self, 0, "seed", most=LARGEST_SEED)
        check_range(self, "(0, inf)", "learning_rate")
        check_range(self, "[0, inf)", "weight_decay")
        check_range(self, "[0, 1]", "decay_fraction")
        check_range(self, "(0, inf]", "gradient_clip")
        check_range(self, "[0, 1)", "averaging")

    @property
    def warmup(self) -> int:
        """The steps in which the learning rate rises."""
        return min(LONGEST_WARMUP, self.steps // 8) if self.warmup_steps is None else self.warmup_steps


def flat_settings(settings: TrainSettings) -> dict[str, Any]:
    """The settings as a file of settings has them: the task's name, and its settings beside those of the run.

    Tuples become lists, and paths strings.
    """
    own, task = dataclasses.asdict(settings), dataclasses.asdict(settings.task)
    named = {**own, "task": settings.task.name}
    if named.keys() & task.keys():
        raise ValueError(f"{type(settings.task).__name__} and TrainSettings share {sorted(named.keys() & task.keys())}")
    plain: dict[str, Any] = json.loads(json.dumps(named | task, default=str))
    return plain
