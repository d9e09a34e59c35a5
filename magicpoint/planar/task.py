"""Training of the detector of quadrilaterals: its scenes, its losses, and how it judges itself."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping

import torch
from torch import Tensor

from synthetic_shapes.sample import sample_generator

from ..core.machine import autocast
from ..training.tasks.base import RunSettings, Task, TrainingError
from .assignment import FreeAnchor, IouRule
from .batches import CollatedScenes, SceneBatch, SceneBatches
from .losses import Assignment, quad_losses
from .model import QuadNetwork
from .pictures import Pictures
from .scenes import SceneStream, draw_boards
from .settings import AssignmentName, QuadTaskSettings
from .validation import SceneValidator
from .views import SceneViews

ALIVE_BY_STEP = 1000
"""From this step on a detector that finds nothing is taken for dead."""

ASSIGNMENTS: dict[AssignmentName, Assignment] = {"free_anchor": FreeAnchor(), "iou_rule": IouRule()}


class QuadTask(Task[QuadNetwork, CollatedScenes, SceneBatch]):
    """Quadrilaterals of templates in scenes."""

    leaves_unused = True

    def __init__(self, settings: QuadTaskSettings, run: RunSettings) -> None:
        self._settings, self._run = settings, run
        templates = Pictures(draw_boards(settings.boards), settings.templates)
        backgrounds = Pictures((), settings.backgrounds)
        self.digest = hashlib.sha256(f"{templates.digest} {backgrounds.digest}".encode()).hexdigest()
        (learnt, unseen), (walls, other_walls) = (each.split(settings.holdout) for each in (templates, backgrounds))
        self._views = SceneViews(SceneStream(learnt, walls, run.seed, settings.scenes), run.seed)
        held_out = SceneStream(unseen, other_walls, 0, settings.scenes, "validation")
        self._validator = SceneValidator(held_out, settings.least_visible)

    def build_network(self) -> QuadNetwork:
        return QuadNetwork(self._settings.model)

    def batches(self, rank: int, world_size: int) -> SceneBatches:
        return SceneBatches(self._views, self._settings.least_visible, self._run.batch_size, rank, world_size)

    def to_device(self, item: CollatedScenes, device: torch.device) -> SceneBatch:
        return item.to(device)

    def losses(self, network: QuadNetwork, batch: SceneBatch, step: int) -> dict[str, Tensor]:
        self._freeze(network)
        with autocast(batch.image.device, self._run.precision):
            first = network(batch.image.contiguous(memory_format=torch.channels_last))
        assignment = ASSIGNMENTS[self._settings.assignment]
        parts = quad_losses(network, first, batch.objects, assignment, self._generators(batch))
        further = {f"{name}_loss": value.detach() for name, value in parts._asdict().items()}
        return {"loss": parts.total(), **further}

    def _generators(self, batch: SceneBatch) -> list[torch.Generator]:
        """Of each image; what they draw depends on its number alone, not on the others of the batch."""
        numbers = range(batch.first, batch.first + len(batch.objects))
        seeds = [int(sample_generator(self._run.seed, "moved objects", number).integers(2**62)) for number in numbers]
        return [torch.Generator().manual_seed(seed) for seed in seeds]

    def check(self, means: Mapping[str, float], step: int) -> None:
        """The losses alone tell nothing."""

    def measure(self, network: QuadNetwork, device: torch.device) -> dict[str, float]:
        return self._validator.measure(network, device)

    def check_measures(self, measures: Mapping[str, float], step: int) -> None:
        if measures["quads_per_image"] == 0 and step >= ALIVE_BY_STEP:
            raise TrainingError(f"the detector is dead: nothing is found in any validation scene after step {step}")

    def score(self, measures: Mapping[str, float]) -> float:
        score = 0.5 * (measures["ap_50"] + measures["ap_75"])
        return -math.inf if math.isnan(score) else score

    def _freeze(self, network: QuadNetwork) -> None:
        """The first layers stay as they are, and BatchNorm's statistics in them, too."""
        for layer in network.encoder.first(self._settings.frozen):
            layer.eval().requires_grad_(False)
