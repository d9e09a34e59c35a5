"""Matches between the keypoints of two images: a network that has learnt to match, after LightGlue."""

from __future__ import annotations

import copy
import dataclasses
import math
import os
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Self

import torch
from torch import Tensor

from ..core.errors import InputError
from ..core.machine import find_device
from ..core.origins import check_one_origin
from ..core.types import Features, Matches
from ..model.matcher import MatcherNetwork, Side, States, counterparts, log_scores, places_of
from ..model.weights import load_weights, matcher_names, resolve_matcher, weights_hash
from .settings import LearnedSettings

HOPELESS = 0.01
"""A keypoint whose chance to have a counterpart is below this is left out, if a layer is sure of it."""


def certain_from(layer: int, layers: int) -> float:
    """From which chance on a layer, counted from 0, is sure (LightGlue, 3.4): early ones err more."""
    return 0.8 + 0.1 * math.exp(-4.0 * layer / layers)


class LearnedMatcher:
    """Matches the features of the weights that it was trained for, and of no others.

    Args:
        network: It is copied, and the copy never trained.
        settings: None stands for `LearnedSettings()`.
        device: None takes the CPU.
        weights: The name of the matcher's weights, for messages.
    """

    def __init__(
        self,
        network: MatcherNetwork,
        settings: LearnedSettings | None = None,
        device: torch.device | str | None = None,
        weights: str = "unnamed",
    ) -> None:
        self.settings = settings or LearnedSettings()
        self.device = find_device(device or "cpu")
        self.network = copy.deepcopy(network).eval().requires_grad_(False).to(self.device)
        self.weights = weights

    @classmethod
    def load(
        cls,
        weights: str | os.PathLike[str] = "superpoint",
        settings: LearnedSettings | None = None,
        device: torch.device | str | None = None,
    ) -> Self:
        """Take a matcher by the name of the shipped weights whose features it is for, else by its path.

        Args:
            weights: `superpoint`, for instance, a file, or the folder of a run of `magicpoint train --task matcher`.
            settings: As for the class; so is the device.

        Raises:
            InputError: There is no such matcher, or the file is damaged or holds something else; it is named.
        """
        file = resolve_matcher(weights)
        return cls(load_weights(file.path, MatcherNetwork)[0], settings, device, file.name)

    @classmethod
    def for_features(
        cls, weights_hash: str, settings: LearnedSettings | None = None, device: torch.device | str | None = None
    ) -> Self:
        """The matcher that ships for the features of the weights with this hash.

        Raises:
            InputError: There is none; the message says for which weights there is one.
        """
        for name in matcher_names():
            matcher = cls.load(name, settings, device)
            if matcher.network.settings.features == weights_hash:
                return matcher
        raise InputError(
            f"no matcher ships for features of the weights {weights_hash[:12]}, but for those of "
            f"{', '.join(matcher_names()) or 'none'}: train one with magicpoint train --task matcher"
        )

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """The name and the hash of its weights, and its settings."""
        own = {"matcher": self.weights, "matcher_hash": weights_hash(self.network.state_dict())}
        return {**own, **dataclasses.asdict(self.settings)}

    def match(self, features0: Features, features1: Features) -> Matches:
        """The matches of two images; their scores are chances. See `match_features`.

        Raises:
            InputError: The features are of other weights than the matcher, as far as that is known
                (`Features.provenance`), have no descriptors, or such of another length.
            ValueError: A value is not finite.
        """
        self._check(features0, features1)
        if not len(features0) or not len(features1):
            device = features0.keypoints.device
            return Matches(torch.zeros((0, 2), dtype=torch.int64, device=device), torch.zeros(0, device=device))
        with torch.inference_mode():
            matches = self._match(self._side(features0), self._side(features1))
        return matches.to(features0.keypoints.device)

    def _match(self, side0: Side, side1: Side) -> Matches:
        scores, kept0, kept1 = self._look(side0, side1)
        of0, _ = counterparts(scores, self.settings.min_score)
        [index0] = torch.nonzero(of0[0] >= 0, as_tuple=True)
        index1 = of0[0, index0]
        chances = scores[0, index0, index1].exp().clamp(max=1.0)
        # Outside of the inference mode, so that whoever gets them can compute on.
        return Matches(torch.stack((kept0[index0], kept1[index1]), dim=1).clone(), chances.clone())

    def _look(self, side0: Side, side1: Side) -> tuple[Tensor, Tensor, Tensor]:
        """The scores behind the last layer that is needed, of which keypoints of image 0 and of image 1."""
        network, last = self.network, self.network.settings.layers - 1
        count = side0.places.shape[1] + side1.places.shape[1]
        kept0, kept1 = (torch.arange(side.places.shape[1], device=self.device) for side in (side0, side1))
        states = network.begin(side0, side1)
        for layer in range(last):
            states = network.step(layer, states, side0, side1)
            if self.settings.stop_share is None and not self.settings.prune:
                continue
            least = certain_from(layer, last + 1)
            unsure0, unsure1 = (network.sureness(layer, state)[0] < least for state in states)
            share = 1.0 - (int(unsure0.sum()) + int(unsure1.sum())) / count
            if self.settings.stop_share is not None and share >= self.settings.stop_share:
                return log_scores(network.assign(layer, states, side0, side1)), kept0, kept1
            if self.settings.prune:
                chosen0, chosen1 = (
                    torch.nonzero(unsure | (network.matchable(layer, state)[0] >= HOPELESS))[:, 0]
                    for unsure, state in zip((unsure0, unsure1), states, strict=True)
                )
                if not len(chosen0) or not len(chosen1):
                    break
                kept0, kept1 = kept0[chosen0], kept1[chosen1]
                states = States(states.state0[:, chosen0], states.state1[:, chosen1])
                side0, side1 = _part(side0, chosen0), _part(side1, chosen1)
        states = network.step(last, states, side0, side1)
        return log_scores(network.assign(last, states, side0, side1)), kept0, kept1

    def _side(self, features: Features) -> Side:
        descriptors = features.descriptors
        assert descriptors is not None
        size = torch.tensor([features.image_size])
        places = places_of(features.keypoints[None].to(self.device), size.to(self.device))
        return Side(descriptors[None].to(self.device), places)

    def _check(self, features0: Features, features1: Features) -> None:
        check_one_origin((features0, features1))
        own = self.network.settings
        for features in (features0, features1):
            if features.descriptors is None:
                raise InputError("matching needs descriptors, and a detector such as MagicPoint gives none")
            if features.descriptors.shape[1] != own.descriptor_dim:
                raise InputError(
                    f"the matcher {self.weights} takes descriptors of {own.descriptor_dim} numbers, got "
                    f"{features.descriptors.shape[1]}"
                )
            self._check_origin(features.provenance)
            if not (features.descriptors.isfinite().all() and features.keypoints.isfinite().all()):
                raise ValueError("descriptors and keypoints must be finite")

    def _check_origin(self, provenance: Mapping[str, str] | None) -> None:
        found, wanted = (provenance or {}).get("weights_hash"), self.network.settings.features
        if provenance is not None and found is not None and found != wanted:
            raise InputError(
                f"the matcher {self.weights} is for features of the weights {wanted[:12]}, and these are of "
                f"{provenance.get('weights', 'unnamed')} ({found[:12]}): train one for them with "
                "magicpoint train --task matcher"
            )


def _part(side: Side, index: Tensor) -> Side:
    return Side(side.descriptors[:, index], side.places[:, index])
