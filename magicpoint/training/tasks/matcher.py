"""A matcher: which of the keypoints of two views belong together, learnt of the features of fixed weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from ...core.errors import InputError
from ...core.machine import autocast
from ...data.image_files import ImageFiles
from ...data.labelled_images import split_in_two
from ...data.match_batches import MatchBatch, MatchBatches, collate_pairs
from ...data.view_features import FeaturePairs, PairRecipe
from ...model.matcher import Assignment, MatcherNetwork, counterparts, log_scores
from ...model.settings import MatcherSettings
from ...model.weights import load_weights, resolve_matcher, weights_hash
from ..losses.matching import confidence_loss, matching_loss
from ..validation.matcher import MatchValidator
from .base import RunSettings, Task
from .settings import MatcherTaskSettings

MOST_KEYPOINTS = 512
"""Of each view: so many are kept, and a step takes some of them."""

PAIRS_TO_BEGIN = 16
"""The new network begins with the principal directions of the descriptors of so many pairs."""

CERTAIN = 0.1
"""The least chance of a match while it is learnt which layer suffices."""


class Passed(NamedTuple):
    """What a layer says: which keypoints match, and of those of both images, the logits (B, N, 1) of being right as
    the last layer will see it; the last one has none.
    """

    assignment: Assignment
    confidence: tuple[Tensor, ...]


class MatcherTask(Task[MatcherNetwork, MatchBatch, MatchBatch]):
    """Which of the keypoints of two views belong together."""

    leaves_unused = True

    def __init__(self, settings: MatcherTaskSettings, run: RunSettings) -> None:
        self._settings, self._run = settings, run
        images = ImageFiles(settings.images)
        training, held_out = split_in_two(len(images))
        how = PairRecipe(settings.features, settings.views, MOST_KEYPOINTS, run.seed, settings.rooms_share)
        self._pairs = FeaturePairs(images, training, how, "training", settings.cache)
        judged = FeaturePairs(images, held_out, how, "validation", settings.cache)
        self._validator = MatchValidator(judged, len(held_out))
        self.digest = self._pairs.digest

    def build_network(self) -> MatcherNetwork:
        form, pairs = self._settings.model, self._pairs
        network = MatcherNetwork(
            MatcherSettings(form.channels, form.layers, form.heads, pairs.descriptor_dim, pairs.weights_hash)
        )
        sides = [side for index in range(min(PAIRS_TO_BEGIN, self._settings.pairs)) for side in pairs[index][:2]]
        found = torch.cat([side.descriptors for side in sides if side.descriptors is not None])
        if len(found) < 2:
            raise InputError(f"the weights {self._settings.features} find no keypoints in these images")
        network.begin_with(found)
        return network

    def start(self, network: MatcherNetwork, weights: str) -> str:
        source = load_weights(resolve_matcher(weights).path, MatcherNetwork)[0]
        theirs, own = source.settings, network.settings
        if (theirs.form, theirs.descriptor_dim) != (own.form, own.descriptor_dim):
            raise InputError(f"cannot start from {weights}: it is of {theirs}, and the network of {own}")
        begun = source.state_dict()
        entry = {f"describe.{name}": value.clone() for name, value in network.describe.state_dict().items()}
        network.load_state_dict(begun)
        if theirs.features != own.features:
            # Descriptors of weights that come from the others mean much the same; those of strangers do not.
            loss = self._loss_to_begin(network)
            network.load_state_dict(begun | entry)
            if loss < self._loss_to_begin(network):
                network.load_state_dict(begun)
        return weights_hash(source.state_dict())

    @torch.inference_mode()
    def _loss_to_begin(self, network: MatcherNetwork) -> float:
        """The last layer's, on the pairs with which a network begins."""
        found = []
        for index in range(min(PAIRS_TO_BEGIN, self._settings.pairs)):
            batch = collate_pairs([self._pairs[index]])
            loss = matching_loss(network(batch.side0, batch.side1), batch.targets0, batch.targets1)
            found.append(float(loss.matched + loss.unmatched))
        return sum(found) / len(found)

    def batches(self, rank: int, world_size: int) -> MatchBatches:
        settings, run = self._settings, self._run
        return MatchBatches(self._pairs, settings.pairs, settings.keypoints, run.seed, run.batch_size, rank, world_size)

    def to_device(self, item: MatchBatch, device: torch.device) -> MatchBatch:
        return item.to(device)

    def losses(self, network: MatcherNetwork, batch: MatchBatch, step: int) -> dict[str, Tensor]:
        """The loss of the matches, the mean over the layers, and that of what the layers say of themselves.

        The logged `matched_loss` and `unmatched_loss` are the last layer's.
        """
        with autocast(batch.targets0.device, self._run.precision):
            passed = self._through(network, batch)
        layers = [matching_loss(assignment, batch.targets0, batch.targets1) for assignment, _ in passed]
        matching = torch.stack([0.5 * (one.matched + one.unmatched) for one in layers]).mean()
        sureness = self._sureness_loss(passed, batch)
        return {
            "loss": matching + sureness,
            "matched_loss": layers[-1].matched.detach(),
            "unmatched_loss": layers[-1].unmatched.detach(),
            "confidence_loss": sureness.detach(),
        }

    def _through(self, network: MatcherNetwork, batch: MatchBatch) -> list[Passed]:
        sides, passed = (batch.side0, batch.side1), []
        states = network.begin(*sides)
        for layer in range(network.settings.layers):
            states = network.step(layer, states, *sides)
            last = layer == network.settings.layers - 1
            # It is judged by what the layer has, and changes nothing of that.
            confidence = () if last else tuple(network.confidences[layer](state.detach()) for state in states)
            passed.append(Passed(network.assign(layer, states, *sides), confidence))
        return passed

    def _sureness_loss(self, passed: list[Passed], batch: MatchBatch) -> Tensor:
        """The mean over all layers but the last, and both images."""
        if len(passed) == 1:
            return passed[0].assignment.similarity.new_zeros(())
        with torch.no_grad():
            said = [counterparts(log_scores(one.assignment), CERTAIN) for one in passed]
        losses = [
            confidence_loss(logits[..., 0], of_layer[image], said[-1][image], side.mask)
            for one, of_layer in zip(passed[:-1], said[:-1], strict=True)
            for image, (logits, side) in enumerate(zip(one.confidence, batch[:2], strict=True))
        ]
        return torch.stack(losses).mean()

    def check(self, means: Mapping[str, float], step: int) -> None:
        """The loss alone tells nothing."""

    def measure(self, network: MatcherNetwork, device: torch.device) -> dict[str, float]:
        return self._validator.measure(network, device)

    def check_measures(self, measures: Mapping[str, float], step: int) -> None:
        """A matcher that matches nothing yet may learn it still."""

    def score(self, measures: Mapping[str, float]) -> float:
        score = 0.5 * (measures["precision"] + measures["recall"])
        return -math.inf if math.isnan(score) else score
