"""Weights with their settings and provenance, read without pickles: shipped, of a run, or anywhere."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ..core.files import write_atomically
from .network import ModelSettings, PointNetwork

_FORMAT = "magicpoint-1"


def save_weights(path: Path, model: PointNetwork, provenance: Mapping[str, Any]) -> Path:
    """Writes a network's weights, settings and provenance as one safetensors file."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    header = {
        "format": _FORMAT,
        "model": json.dumps(dataclasses.asdict(model.settings)),
        "provenance": json.dumps(dict(provenance)),
    }
    content = save(tensors, header)
    write_atomically(path, lambda temporary: temporary.write_bytes(content))
    return path


def load_weights(path: Path) -> tuple[PointNetwork, dict[str, Any]]:
    """Reads a file of ``save_weights``: the network, in evaluation mode on the CPU, and its provenance.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged or is not such a file; it is named.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no weights file {path}")
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
            if header.get("format") != _FORMAT:
                raise ValueError(f"{path} holds no magicpoint weights (format {header.get('format')!r})")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        model = PointNetwork(ModelSettings(**json.loads(header["model"])))
        model.load_state_dict(tensors)
    except (SafetensorError, RuntimeError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is damaged or holds other weights: {error}") from error
    return model.eval(), json.loads(header["provenance"])


def weights_hash(weights: Mapping[str, Tensor]) -> str:
    """The first 16 hexadecimal digits of the SHA-256 over all tensors in the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode())
        digest.update(weights[name].detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


BEST_WEIGHTS = "best.safetensors"
"""The best weights of a run, in its folder."""

_SHIPPED = Path(str(resources.files("magicpoint.weights")))
_SUFFIX = ".safetensors"


def pretrained_names() -> list[str]:
    """The names of the weights that ship with the package."""
    return sorted(path.stem for path in _SHIPPED.glob(f"*{_SUFFIX}"))


def pretrained_weights(name: str) -> Path:
    """The file of weights that ship with the package; nothing is downloaded.

    Raises:
        ValueError: There are none of that name; the message lists those that there are.
    """
    if name not in pretrained_names():
        raise ValueError(f"no pretrained weights {name!r}: choose from {', '.join(pretrained_names()) or 'none'}")
    return _SHIPPED / f"{name}{_SUFFIX}"


def weights_at(path: str | os.PathLike[str]) -> Path:
    """A weights file itself, or the best weights in the folder of a run."""
    path = Path(path)
    return path / BEST_WEIGHTS if path.is_dir() else path


def find_weights(weights: str) -> Path:
    """The file of the weights that ship under this name, else of those at this path.

    Raises:
        ValueError: There are none.
    """
    if weights in pretrained_names():
        return pretrained_weights(weights)
    if not Path(weights).exists():
        raise ValueError(
            f"no weights {weights}: neither a file, nor a folder, nor one of {', '.join(pretrained_names())}"
        )
    return weights_at(weights)
