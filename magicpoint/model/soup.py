"""The mean of several networks' weights: one network that is as fast as each, and often better than all.

Runs that began with the same weights end in one valley of the loss, and its middle is more general than its sides: a
model soup (arXiv 2203.05482, section 2); with the weights that they began with as one of them, robust fine-tuning
(arXiv 2109.01903, section 3). Runs that began at random have no middle that means anything.
"""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..core.errors import InputError
from .hub import is_hub_name
from .network import PointNetwork
from .settings import ModelSettings
from .weights import load_weights, resolve, weights_hash

_LOG = logging.getLogger(__name__)


def average_weights(weights: Sequence[str | os.PathLike[str]]) -> tuple[PointNetwork, dict[str, Any]]:
    """The network whose weights, BatchNorm's running statistics among them, are the mean of those of several.

    Args:
        weights: Shipped names, weights files or folders of runs, as `resolve` takes them. One that is named twice
            counts twice. That two of other names hold the same weights is a warning: the best weights of a run may be
            those that it began with.

    Returns:
        The network, in evaluation mode on the CPU, and its provenance: under `soup` the name and hash of each, with the
        source and licence that it says, and under `licence` the licences of all.

    Raises:
        InputError: There are fewer than two, one is none, or two are of different settings; it is named.
    """
    if len(weights) < 2:
        raise InputError(f"weights must be at least two, got {len(weights)}")
    files = [resolve(name) for name in weights]
    mean, provenance = load_weights(files[0].path)
    states = [mean.state_dict()]
    ingredients = [_ingredient(weights[0], states[0], provenance)]
    for name, file in zip(weights[1:], files[1:], strict=True):
        model, provenance = load_weights(file.path)
        if model.settings != mean.settings:
            raise InputError(f"{file.path} and {files[0].path} differ: {_difference(model.settings, mean.settings)}")
        states.append(model.state_dict())
        ingredients.append(_ingredient(name, states[-1], provenance))
    _warn_of_equal(weights, ingredients)
    mean.load_state_dict(_mean(states))
    licences = sorted({part["licence"] for part in ingredients if "licence" in part})
    return mean, {"soup": ingredients, **({"licence": "; ".join(licences)} if licences else {})}


def _mean(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """What is no number of the network, BatchNorm's count of batches, stays as the first has it."""
    return {
        name: torch.stack([state[name].double() for state in states]).mean(0).to(tensor.dtype)
        if tensor.is_floating_point()
        else tensor
        for name, tensor in states[0].items()
    }


def _ingredient(
    name: str | os.PathLike[str], state: Mapping[str, Tensor], provenance: Mapping[str, Any]
) -> dict[str, Any]:
    """What is on record of one: its name without the folders around it, its hash, and what is inherited from it."""
    inherited = {key: provenance[key] for key in ("source", "licence", "soup") if key in provenance}
    short = os.fspath(name) if is_hub_name(os.fspath(name)) else Path(name).name
    return {"weights": short, "weights_hash": weights_hash(state), **inherited}


def _difference(one: ModelSettings, other: ModelSettings) -> str:
    values = ((field.name, getattr(one, field.name), getattr(other, field.name)) for field in dataclasses.fields(one))
    return ", ".join(f"{name} {value} and {another}" for name, value, another in values if value != another)


def _warn_of_equal(names: Sequence[str | os.PathLike[str]], ingredients: Sequence[Mapping[str, Any]]) -> None:
    seen: dict[str, str] = {}
    for path, part in zip(names, ingredients, strict=True):
        name = os.fspath(path)
        other = seen.setdefault(part["weights_hash"], name)
        if other != name:
            _LOG.warning(
                "%s holds the same weights as %s: where the best of a run are those that it began with, take its "
                "last.safetensors",
                name,
                other,
            )
