"""The mean of several networks' weights: one network that is as fast as each, and often better than all.

Runs that began with the same weights end in one valley of the loss, and its middle is more general than its sides: a
model soup (arXiv 2203.05482, section 2); with the weights that they began with as one of them, robust fine-tuning
(arXiv 2109.01903, section 3). Runs that began at random have no middle that means anything.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import torch

from ..core.errors import InputError
from .network import PointNetwork
from .weights import load_weights, resolve, weights_hash


def average_weights(weights: Sequence[str | os.PathLike[str]]) -> tuple[PointNetwork, dict[str, Any]]:
    """The network whose weights, BatchNorm's running statistics among them, are the mean of those of several.

    Args:
        weights: Shipped names, weights files or folders of runs, as `resolve` takes them. One that is named twice
            counts twice.

    Returns:
        The network, in evaluation mode on the CPU, and its provenance: the name and hash of each under `soup`.

    Raises:
        InputError: There are fewer than two, one is none, or two are of different settings; it is named.
    """
    if len(weights) < 2:
        raise InputError(f"weights must be at least two, got {len(weights)}")
    first, *others = files = [resolve(name) for name in weights]
    mean, _ = load_weights(first.path)
    states = [mean.state_dict()]
    for file in others:
        model, _ = load_weights(file.path)
        if model.settings != mean.settings:
            raise InputError(f"{file.path} and {first.path} differ: {model.settings}, {mean.settings}")
        states.append(model.state_dict())
    ingredients = [
        {"weights": file.name, "weights_hash": weights_hash(state)} for file, state in zip(files, states, strict=True)
    ]
    averaged = {}
    for name, tensor in states[0].items():
        # What is no number of the network, BatchNorm's count of batches, stays as the first has it.
        if tensor.is_floating_point():
            tensor = torch.stack([state[name].double() for state in states]).mean(0).to(tensor.dtype)
        averaged[name] = tensor
    mean.load_state_dict(averaged)
    return mean, {"soup": ingredients}
