"""Weights with their settings and provenance, read without pickles: shipped, of a run, or anywhere."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, overload

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ..core.errors import InputError
from ..core.files import write_atomically
from .hub import HUB_WEIGHTS, hub_weights, is_hub_name
from .named import NamedNetwork
from .network import PointNetwork
from .tensors import take_weights

_FORMAT = "magicpoint-1"

Network = TypeVar("Network", bound=NamedNetwork)


def save_weights(path: str | os.PathLike[str], model: NamedNetwork, provenance: Mapping[str, Any]) -> Path:
    """Writes a network's weights, architecture, settings and provenance as one safetensors file."""
    path = Path(path)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    header = {
        "format": _FORMAT,
        "architecture": model.architecture,
        "model": json.dumps(dataclasses.asdict(model.settings)),
        "provenance": json.dumps(dict(provenance)),
    }
    content = save(tensors, header)
    write_atomically(path, lambda temporary: temporary.write_bytes(content))
    return path


@overload
def load_weights(path: str | os.PathLike[str]) -> tuple[PointNetwork, dict[str, Any]]: ...


@overload
def load_weights(path: str | os.PathLike[str], kind: type[Network]) -> tuple[Network, dict[str, Any]]: ...


def load_weights(
    path: str | os.PathLike[str], kind: type[NamedNetwork] = PointNetwork
) -> tuple[NamedNetwork, dict[str, Any]]:
    """Reads a file of `save_weights`: the network, in evaluation mode on the CPU, and its provenance.

    Args:
        path: The file. One that names no architecture, as of version 0.1.0, holds a `PointNetwork`.
        kind: Of the network.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: the file is damaged, is not such a file, or holds a network of another kind; it is named.
    """
    path = Path(path)
    if not path.is_file():
        last = path.with_name("last.safetensors")
        begun = f"; the run has not been validated yet: take {last}, or go on with it" if last.is_file() else ""
        raise FileNotFoundError(f"no weights file {path}{begun}")
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is damaged or holds other weights: {error!s:.200}") from error
    if header.get("format") != _FORMAT:
        raise InputError(f"{path} holds no magicpoint weights (format {header.get('format')!r:.80})")
    architecture = header.get("architecture", PointNetwork.architecture)
    if architecture != kind.architecture:
        raise InputError(f"{path} holds a network of the architecture {architecture:.80}, not {kind.architecture}")
    try:
        model = _build(kind, _read_json(header, "model"))
        provenance = _read_json(header, "provenance")
        take_weights(model, tensors, "it")
    except InputError as error:
        raise InputError(f"{path} is damaged or holds other weights: {error}") from error
    return model.eval(), provenance


def architecture_of(path: str | os.PathLike[str]) -> str:
    """The architecture that a weights file names; that of points where it names none, or is no such file."""
    try:
        with safe_open(path, "pt") as file:
            return str((file.metadata() or {}).get("architecture", PointNetwork.architecture))
    except (OSError, SafetensorError):
        return PointNetwork.architecture


def _read_json(header: Mapping[str, str], name: str) -> dict[str, Any]:
    try:
        found = json.loads(header[name])
    except KeyError:
        raise InputError(f"it does not say its {name}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"its {name} is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise InputError(f"its {name} must be an object, got {found!r:.80}")
    return found


def _build(kind: type[Network], values: Mapping[str, Any]) -> Network:
    """An empty network of the settings that a file says."""
    settings = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    try:
        return kind.empty(kind.settings_type(**settings))
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise InputError(f"its model is none: {error!s:.200}") from error


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


class WeightsFile(NamedTuple):
    """A file of weights, and what a record calls it: the shipped name, else the name of the file."""

    path: Path
    name: str


def shipped_weights(name: str) -> WeightsFile:
    """The file of weights that ship with the package; nothing is downloaded.

    Raises:
        InputError: There are none of that name; the message lists those that there are.
    """
    if name not in pretrained_names():
        raise InputError(f"no pretrained weights {name!r}: choose from {', '.join(pretrained_names()) or 'none'}")
    return WeightsFile(_SHIPPED / f"{name}{_SUFFIX}", name)


def weights_at(path: str | os.PathLike[str]) -> WeightsFile:
    """A weights file itself, the best weights in the folder of a run, or those in a copy of a repository of the hub."""
    file = Path(path)
    if file.is_dir():
        is_repository = (file / HUB_WEIGHTS).is_file() and not (file / BEST_WEIGHTS).exists()
        file = file / (HUB_WEIGHTS if is_repository else BEST_WEIGHTS)
    return WeightsFile(file, file.name)


def resolve(weights: str | os.PathLike[str]) -> WeightsFile:
    """The weights that ship under this name, else those at this path, as `weights_at` finds them.

    A name that begins with `hf:` is that of a repository of the Hugging Face hub, see `hub.hub_weights`.

    Raises:
        MissingPackageError: A repository is asked for, and huggingface_hub is not installed.
        InputError: There are none.
    """
    if is_hub_name(os.fspath(weights)):
        return WeightsFile(hub_weights(os.fspath(weights)), os.fspath(weights))
    if (name := os.fspath(weights)) in pretrained_names():
        return shipped_weights(name)
    if not Path(weights).exists():
        listed = ", ".join(pretrained_names())
        other = f" ({name} are weights of planar things)" if name in planar_names() else ""
        raise InputError(f"no weights {name}: neither a file, nor a folder, nor one of {listed}{other}")
    return weights_at(weights)


_MATCHERS, _PLANAR = _SHIPPED / "matchers", _SHIPPED / "planar"


def matcher_names() -> list[str]:
    """The names of the weights that ship with a matcher for their features."""
    return _names_in(_MATCHERS)


def planar_names() -> list[str]:
    """The names of the weights that ship of detectors of planar things."""
    return _names_in(_PLANAR)


def resolve_matcher(weights: str | os.PathLike[str]) -> WeightsFile:
    """The weights of the matcher that ships for the features of the weights of this name, else those at this path.

    Raises:
        InputError: There are none.
    """
    return _resolve_in(_MATCHERS, weights, "matcher")


def resolve_planar(weights: str | os.PathLike[str]) -> WeightsFile:
    """The weights of a detector of planar things that ship under this name, else those at this path.

    Raises:
        InputError: There are none.
    """
    return _resolve_in(_PLANAR, weights, "weights of planar things")


def _names_in(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob(f"*{_SUFFIX}"))


def _resolve_in(folder: Path, weights: str | os.PathLike[str], kind: str) -> WeightsFile:
    name, names = os.fspath(weights), _names_in(folder)
    if name in names:
        return WeightsFile(folder / f"{name}{_SUFFIX}", name)
    if not Path(weights).exists():
        listed = ", ".join(names) or "none"
        raise InputError(f"no {kind} {name}: neither a file, nor a folder, nor one of those that ship: {listed}")
    return weights_at(weights)
