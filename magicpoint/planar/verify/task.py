"""Training of the verifier: its pairs, its loss, and how it judges itself."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from ...core.errors import InputError
from ...core.machine import autocast
from ...training.tasks.base import RunSettings, Task, TrainingError
from ..pictures import Pictures
from ..scenes import draw_boards
from ..solids import pairs as solids
from .batches import CollatedPairs, PairBatch, PairBatches
from .network import VerifierNetwork
from .pairs import Pairs, PairStream
from .settings import VerifyTaskSettings
from .validation import SOLIDS, PairValidator, joined


class VerifyTask(Task[VerifierNetwork, CollatedPairs, PairBatch]):
    """Whether a quadrilateral shows a template."""

    def __init__(self, settings: VerifyTaskSettings, run: RunSettings) -> None:
        self._settings, self._run = settings, run
        templates = Pictures(draw_boards(settings.boards), settings.templates)
        backgrounds = Pictures((), settings.backgrounds)
        self.digest = hashlib.sha256(f"{templates.digest} {backgrounds.digest}".encode()).hexdigest()
        (learnt, unseen), (walls, other_walls) = (each.split(settings.holdout) for each in (templates, backgrounds))
        if min(len(learnt), len(unseen)) < 2:
            raise InputError(
                f"templates must be at least two to train on and two held out, got {len(learnt)} and {len(unseen)}: "
                "add some, or change the holdout"
            )
        self._pairs: Pairs = self.stream(learnt, walls, run.seed, "training")
        held_out = self.stream(unseen, other_walls, 0, "validation")
        self._validator = PairValidator(held_out, self.stream(learnt, walls, 0, "leak"))
        self._of_solids: PairValidator | None = None
        if settings.solids:
            self._pairs = solids.MixedPairs(
                self._pairs, self.solid_stream(learnt, walls, run.seed, "training"), settings.solids
            )
            of_solids = self.solid_stream(unseen, other_walls, 0, "validation")
            self._of_solids = PairValidator(of_solids, self.solid_stream(learnt, walls, 0, "leak"), solids.ROUND)

    def stream(self, templates: Pictures, backgrounds: Pictures, seed: int, name: str) -> PairStream:
        """The pairs of some templates."""
        return PairStream(templates, backgrounds, seed, self._settings.model.side, self._settings.queries, name)

    def solid_stream(self, pictures: Pictures, backgrounds: Pictures, seed: int, name: str) -> solids.SolidPairStream:
        """The pairs of solids with some pictures on their faces."""
        return solids.SolidPairStream(pictures, backgrounds, seed, self._settings.model.side, stream=name)

    def build_network(self) -> VerifierNetwork:
        return VerifierNetwork(self._settings.model)

    def batches(self, rank: int, world_size: int) -> PairBatches:
        return PairBatches(self._pairs, self._run.batch_size, rank, world_size)

    def to_device(self, item: CollatedPairs, device: torch.device) -> PairBatch:
        return item.to(device)

    def losses(self, network: VerifierNetwork, batch: PairBatch, step: int) -> dict[str, Tensor]:
        with autocast(batch.query.device, self._run.precision):
            logits: Tensor = network(batch.query, batch.template)
        loss = F.binary_cross_entropy_with_logits(logits, batch.same)
        right = (logits.detach() > 0) == (batch.same > 0.5)
        return {"loss": loss, "batch_accuracy": right.float().mean()}

    def check(self, means: Mapping[str, float], step: int) -> None:
        """The loss alone tells nothing."""

    def measure(self, network: VerifierNetwork, device: torch.device) -> dict[str, float]:
        measures = self._validator.measure(network, device)
        return joined(measures, self._of_solids.measure(network, device)) if self._of_solids else measures

    def check_measures(self, measures: Mapping[str, float], step: int) -> None:
        leaks = {"leak_noise": "noise", "leak_another": "another object"}
        names = [name for name in measures if name.removeprefix(SOLIDS) in leaks]
        for name in names:
            what = leaks[name.removeprefix(SOLIDS)]
            if abs(measures[name] - 0.5) > measures["leak_reach"]:
                raise TrainingError(
                    f"the verifier judges without the query: with {what} in its place {measures[name]:.3f} of the "
                    f"pairs are told right after step {step}, where chance is 0.5 ± {measures['leak_reach']:.3f}; "
                    "pairs that belong together and others must have their templates from one distribution"
                )

    def score(self, measures: Mapping[str, float]) -> float:
        score = min(measures["ap"], measures.get(f"{SOLIDS}ap", measures["ap"]))
        return -math.inf if math.isnan(score) else score
