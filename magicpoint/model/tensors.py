"""A network takes the tensors of a file: those of its own names and shapes, of finite numbers, or none."""

from __future__ import annotations

import warnings
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn

from ..core.errors import InputError


def read_saved(path: Path, kind: str) -> Any:
    """What a file of `torch.save` holds: tensors and plain values; no code of it is run.

    Args:
        path: The file.
        kind: What it should be, for messages: "file of weights".

    Raises:
        OSError: It cannot be read.
        InputError: It is damaged or holds something else; it is named.
    """
    with open(path, "rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of old pickles, which are refused anyway
        try:
            return torch.load(file, map_location="cpu", weights_only=True)
        except MemoryError:
            raise
        except UnpicklingError as error:  # torch's words for it are advice to run the file's code
            raise InputError(f"{path} is damaged or no {kind}: it has more than tensors and plain values") from error
        except Exception as error:  # of any kind: the bytes decide where the reader stumbles
            reason = " ".join(str(error).partition("\n")[0].partition(" In PyTorch 2.6")[0].split())
            raise InputError(f"{path} is damaged or no {kind}: {reason:.200}") from error


def take_weights(network: nn.Module, weights: Any, name: str) -> None:
    """Lets a network have the weights that a file holds.

    Args:
        network: Its weights are replaced.
        weights: Tensors by name, whatever that is in the file.
        name: For messages, before the names of the tensors.

    Raises:
        InputError: They are not tensors of the names, shapes and number formats of the network, or not finite.
    """
    own = network.state_dict()
    if not isinstance(weights, dict) or weights.keys() != own.keys():
        found = sorted(map(str, weights.keys() ^ own.keys())) if isinstance(weights, dict) else [type(weights).__name__]
        raise InputError(f"{name} holds other layers than the network: {', '.join(found):.200}")
    for layer, wanted in own.items():
        check_tensor(f"{name}.{layer}", weights[layer], wanted)
    network.load_state_dict(weights)


def check_tensor(name: str, found: Any, wanted: Tensor) -> None:
    """Refuses what is no tensor of the shape and number format of another, or not finite.

    Raises:
        InputError: The message begins with the name.
    """
    if not isinstance(found, Tensor) or found.shape != wanted.shape or found.dtype != wanted.dtype:
        form = f"{found.dtype} {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
        raise InputError(f"{name} must be {wanted.dtype} {tuple(wanted.shape)}, got {form}")
    if found.layout != torch.strided or not torch.isfinite(found).all():
        raise InputError(f"{name} has a value that is not a number or infinite")
    if name.endswith("running_var") and bool((found < 0).any()):
        raise InputError(f"{name} has a negative variance")


def check_output(values: Tensor, weights: object) -> Tensor:
    """What a network gave; finite weights can be such that it overflows.

    Raises:
        InputError: A value is not finite; the weights are named.
    """
    if not torch.isfinite(values).all():
        raise InputError(f"the weights {weights} give values that are not a number: they are damaged")
    return values
