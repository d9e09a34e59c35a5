"""Weights of other SuperPoints read: the layouts of `export.foreign`.

Whoever loads a file says where it comes from and under which licence.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ..core.errors import InputError
from ..core.files import AnyPath
from ..core.grid import DUSTBIN, DescriptorSampling
from ..export.foreign import CONVOLUTIONS, NORMS, ForeignLayout, all_convolutions
from ..model.encoder import CHANNELS, scaled
from ..model.heads import HIDDEN_CHANNELS
from ..model.hub import HUB_WEIGHTS
from ..model.network import PointNetwork
from ..model.settings import BatchNormLayout, ModelSettings
from ..model.tensors import read_saved

_NORM_LAYOUTS: Mapping[ForeignLayout, BatchNormLayout] = {
    "magicleap": "none",
    "transformers": "none",
    "eric-yyjau": "all",
    "rpautrat": "after_relu",
}

_SAMPLING: Mapping[ForeignLayout, DescriptorSampling] = {
    "magicleap": "legacy",
    "transformers": "legacy",
    "eric-yyjau": "centres",
    "rpautrat": "centres",
}
"""Where the programs that use these weights read the descriptors: SuperGlue, hloc and transformers at
`decoding.descriptors.legacy_places`, rpautrat's at the true centres. Those of eric-yyjau's read between the two, as the
version of torch has it.
"""

_BATCH_NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def _tensor_names(layout: ForeignLayout) -> set[str]:
    of_convolutions = itertools.product(CONVOLUTIONS[layout], ("weight", "bias"))
    of_norms = itertools.product(NORMS[layout], _BATCH_NORM)
    return {".".join(parts) for parts in itertools.chain(of_convolutions, of_norms)}


def recognise_layout(names: Collection[str]) -> ForeignLayout:
    """Whose layout a checkpoint has, by the names of its tensors.

    Raises:
        InputError: It is none that is known; the message says which is the nearest and what that lacks or has too many.
    """
    found = set(names)
    wanted = {layout: _tensor_names(layout) for layout in CONVOLUTIONS}
    nearest = min(wanted, key=lambda layout: len(wanted[layout] ^ found))
    missing, unknown = sorted(wanted[nearest] - found), sorted(found - wanted[nearest])
    if missing or unknown:
        raise InputError(
            f"no known layout of SuperPoint: compared with {nearest}, {len(missing)} tensors are missing "
            f"({', '.join(missing[:3])} ...) and {len(unknown)} unknown ({', '.join(unknown[:3])} ...)"
        )
    return nearest


def load_checkpoint(path: AnyPath, source: str, licence: str) -> tuple[PointNetwork, dict[str, Any]]:
    """Read another project's weights as a network of ours that computes the same maps.

    A `.safetensors` file is read as such, any other by torch without running code from it (`weights_only`); of a
    training state the part `model_state_dict` is taken, and the prefix `module.` of data-parallel training is dropped.
    The maps agree, the keypoints only nearly, since this project's decoding refines them. The descriptors are read
    where the programs that use such weights read theirs (`ModelSettings.descriptor_sampling`).

    Args:
        path: The file, or a folder of transformers with its `model.safetensors`.
        source: Where it was published, for the record, such as an address with a revision.
        licence: Under which licence that is. The layout does not tell it, and what is made from weights inherits it;
            those that Magic Leap published are for non-commercial research only.

    Returns:
        The network, in evaluation mode on the CPU, and its provenance, with `source`, `licence`, `layout` and the
        file's SHA-256, as `model.weights.save_weights` takes them.

    Raises:
        FileNotFoundError: There is no such file.
        InputError: It is damaged, or of no layout that can be read; source or licence are empty.
    """
    path = Path(path)
    path = path / HUB_WEIGHTS if path.is_dir() else path
    if not source.strip() or not licence.strip():
        raise InputError(f"the source and the licence of {path} must be said, got {source!r} and {licence!r}")
    if not path.is_file():
        raise FileNotFoundError(f"no weights file {path}")
    tensors = _read_tensors(path)
    try:
        layout = recognise_layout(tensors)
        model = _as_network(tensors, layout)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return model, {"source": source, "licence": licence, "layout": layout, "sha256": digest}


def _read_tensors(path: Path) -> dict[str, Tensor]:
    if path.suffix.lower() == ".safetensors":
        try:
            content: Any = load_file(path)
        except (SafetensorError, OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path} is damaged or no file of weights: {error!s:.200}") from error
    else:
        content = read_saved(path, "file of weights")
    if isinstance(content, Mapping) and "model_state_dict" in content:
        content = content["model_state_dict"]
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise InputError(f"{path} holds no weights by name")
    return {str(name).removeprefix("module."): value for name, value in content.items()}


def _as_network(tensors: Mapping[str, Tensor], layout: ForeignLayout) -> PointNetwork:
    names = CONVOLUTIONS[layout]
    norms: Sequence[str | None] = NORMS[layout] or [None] * len(names)
    weights = [tensors[f"{name}.weight"] for name in names]
    model = PointNetwork.empty(_settings_of(weights, _NORM_LAYOUTS[layout], _SAMPLING[layout]))
    with torch.no_grad():
        for (convolution, norm), name, norm_name in zip(all_convolutions(model), names, norms, strict=True):
            _copy(convolution.weight, tensors, f"{name}.weight")
            bias = torch.empty(len(convolution.weight)) if convolution.bias is None else convolution.bias
            _copy(bias, tensors, f"{name}.bias")
            if norm is None:
                continue
            for part in _BATCH_NORM:
                _copy(getattr(norm, part), tensors, f"{norm_name}.{part}")
            if convolution.bias is None:
                # BatchNorm subtracts the mean of what the convolution gives, so a bias before it lowers that mean.
                assert norm.running_mean is not None
                norm.running_mean -= bias
    return model.eval()


def _settings_of(weights: list[Tensor], batch_norm: BatchNormLayout, sampling: DescriptorSampling) -> ModelSettings:
    """The form of the network whose twelve weights these are; refuses one that `PointNetwork` cannot take."""
    if any(weight.ndim != 4 for weight in weights):
        raise InputError(f"a convolution's weight must be 4-D, got {[tuple(weight.shape) for weight in weights]}")
    outputs = [weight.shape[0] for weight in weights]
    width, dim = outputs[8] / HIDDEN_CHANNELS, outputs[11]
    hidden = scaled(HIDDEN_CHANNELS, width)
    expected = [*(scaled(channels, width) for channels in CHANNELS), hidden, DUSTBIN + 1, hidden, dim]
    if outputs != expected or not dim:
        raise InputError(f"the layers have {outputs} channels, where a network of width {width:g} has {expected}")
    return ModelSettings(width, batch_norm, dim, sampling)


def _copy(target: Tensor, tensors: Mapping[str, Tensor], name: str) -> None:
    if target.shape != tensors[name].shape:
        raise InputError(f"{name} has shape {tuple(tensors[name].shape)} instead of {tuple(target.shape)}")
    if tensors[name].is_complex() or not torch.isfinite(tensors[name]).all():
        raise InputError(f"{name} has a value that is not a number or infinite")
    target.copy_(tensors[name])
