"""Weights with their settings and provenance, and the state from which a run goes on; read without pickles."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import platform
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from .model import ModelSettings, PointNetwork

_FORMAT = "magicpoint-1"


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Lets ``write`` fill a temporary file beside ``path``, then renames it: ``path`` is old or new, never half.

    Raises:
        OSError: naming the file, when it cannot be written; the temporary file is gone then.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(temporary)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, (OSError, RuntimeError)):
            raise OSError(f"cannot write {path}: {error}") from error
        raise


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


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Writes the state of a run: tensors, numbers, strings, and lists and dicts of them."""
    write_atomically(path, lambda temporary: torch.save(dict(state), temporary))


def load_state(path: Path) -> dict[str, Any]:
    """Reads a file of ``save_state``.

    Raises:
        ValueError: the file is damaged; it is named.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, ValueError, UnpicklingError) as error:
        first_line = str(error).split("\n")[0]
        raise ValueError(f"{path} is damaged or no training state: {first_line}") from error
    return state


def weights_hash(weights: Mapping[str, Tensor]) -> str:
    """The first 16 hexadecimal digits of the SHA-256 over all tensors in the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode())
        digest.update(weights[name].detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def versions() -> dict[str, str]:
    """The versions on which a result depends."""
    found = {"python": platform.python_version()}
    for name in ("magicpoint", "torch", "numpy", "opencv-python-headless", "opencv-python"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
