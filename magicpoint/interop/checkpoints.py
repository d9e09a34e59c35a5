"""Weights of other SuperPoints, in and out: the same twelve convolutions under other names.

| layout | where it comes from | tensors |
|---|---|---|
| magicleap | the paper's own release, and whatever loads it (SuperGlue, hloc, LightGlue) | 24 |
| transformers | `SuperPointForKeypointDetection` of Hugging Face's transformers | 24 |
| eric-yyjau | pytorch-superpoint, BatchNorm behind every convolution | 84 |
| rpautrat | SuperPoint in PyTorch, BatchNorm behind every ReLU | 84 |

Only names and shapes are known here, no weights: whoever loads a file says where it comes from and under which licence.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from ..core.errors import InputError
from ..core.files import AnyPath, write_atomically
from ..core.grid import DUSTBIN
from ..decoding.settings import DecodeSettings
from ..model.encoder import CHANNELS, scaled
from ..model.fold import convolutions, fold_batch_norm
from ..model.heads import HIDDEN_CHANNELS
from ..model.network import PointNetwork
from ..model.settings import DESCRIPTOR_DIM, ModelSettings
from ..model.weights import weights_hash

ForeignLayout = Literal["magicleap", "transformers", "eric-yyjau", "rpautrat"]

_NUMBERS, _HALVES = range(4), "ab"
_BATCH_NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")

# The names of the convolutions, and of the BatchNorm of each where there is one, in the order of the data flow: eight
# of the encoder, two of the detector, two of the descriptors.
_CONVOLUTIONS: dict[ForeignLayout, list[str]] = {
    "magicleap": [
        *(f"conv{number + 1}{half}" for number in _NUMBERS for half in _HALVES),
        *(f"conv{head}{half}" for head in "PD" for half in _HALVES),
    ],
    "transformers": [
        *(f"encoder.conv_blocks.{number}.conv_{half}" for number in _NUMBERS for half in _HALVES),
        *(f"keypoint_decoder.conv_score_{half}" for half in _HALVES),
        *(f"descriptor_decoder.conv_descriptor_{half}" for half in _HALVES),
    ],
    "eric-yyjau": [
        *(f"inc.conv.conv.{place}" for place in (0, 3)),
        *(f"down{number}.mpconv.1.conv.{place}" for number in (1, 2, 3) for place in (0, 3)),
        *(f"conv{head}{half}" for head in "PD" for half in _HALVES),
    ],
    "rpautrat": [
        *(f"backbone.{number}.{place}.conv" for number in _NUMBERS for place in (0, 1)),
        *(f"{head}.{place}.conv" for head in ("detector", "descriptor") for place in (0, 1)),
    ],
}
_NORMS: dict[ForeignLayout, list[str]] = {
    "magicleap": [],
    "transformers": [],
    "eric-yyjau": [
        *(f"inc.conv.conv.{place}" for place in (1, 4)),
        *(f"down{number}.mpconv.1.conv.{place}" for number in (1, 2, 3) for place in (1, 4)),
        *(f"bn{head}{half}" for head in "PD" for half in _HALVES),
    ],
    "rpautrat": [name.removesuffix("conv") + "bn" for name in _CONVOLUTIONS["rpautrat"]],
}


def _tensor_names(layout: ForeignLayout) -> set[str]:
    of_convolutions = itertools.product(_CONVOLUTIONS[layout], ("weight", "bias"))
    of_norms = itertools.product(_NORMS[layout], _BATCH_NORM)
    return {".".join(parts) for parts in itertools.chain(of_convolutions, of_norms)}


def recognise_layout(names: Collection[str]) -> ForeignLayout:
    """Whose layout a checkpoint has, by the names of its tensors.

    Raises:
        InputError: It is none that is known; the message says which is the nearest and what that lacks or has too many.
    """
    found = set(names)
    wanted = {layout: _tensor_names(layout) for layout in _CONVOLUTIONS}
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
    The maps agree, the keypoints only nearly: this project's decoding refines them and samples the descriptors at their
    true place.

    Args:
        path: The file.
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
    try:
        if path.suffix.lower() == ".safetensors":
            content: Any = load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, OSError, RuntimeError, EOFError, ValueError, UnpicklingError) as error:
        raise InputError(f"{path} is damaged or holds more than weights: {str(error).splitlines()[0]}") from error
    if isinstance(content, Mapping) and "model_state_dict" in content:
        content = content["model_state_dict"]
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise InputError(f"{path} holds no weights by name")
    return {str(name).removeprefix("module."): value for name, value in content.items()}


def _as_network(tensors: Mapping[str, Tensor], layout: ForeignLayout) -> PointNetwork:
    if layout == "rpautrat":
        raise InputError(
            "in rpautrat's layout BatchNorm stands behind the ReLU, and the next convolution pads its result with "
            "zeros: no network of this project computes that, and folding it would be wrong at the image's borders"
        )
    names = _CONVOLUTIONS[layout]
    norms: Sequence[str | None] = _NORMS[layout] or [None] * len(names)
    model = PointNetwork.empty(_settings_of([tensors[f"{name}.weight"] for name in names], bool(_NORMS[layout])))
    with torch.no_grad():
        for (convolution, norm), name, norm_name in zip(_all_convolutions(model), names, norms, strict=True):
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


def _settings_of(weights: list[Tensor], batch_norm: bool) -> ModelSettings:
    """The form of the network whose twelve weights these are; refuses one that `PointNetwork` cannot take."""
    if any(weight.ndim != 4 for weight in weights):
        raise InputError(f"a convolution's weight must be 4-D, got {[tuple(weight.shape) for weight in weights]}")
    outputs = [weight.shape[0] for weight in weights]
    width, dim = outputs[8] / HIDDEN_CHANNELS, outputs[11]
    hidden = scaled(HIDDEN_CHANNELS, width)
    expected = [*(scaled(channels, width) for channels in CHANNELS), hidden, DUSTBIN + 1, hidden, dim]
    if outputs != expected or not dim:
        raise InputError(f"the layers have {outputs} channels, where a network of width {width:g} has {expected}")
    return ModelSettings(width, "all" if batch_norm else "none", dim)


def _copy(target: Tensor, tensors: Mapping[str, Tensor], name: str) -> None:
    if target.shape != tensors[name].shape:
        raise InputError(f"{name} has shape {tuple(tensors[name].shape)} instead of {tuple(target.shape)}")
    target.copy_(tensors[name])


def _all_convolutions(model: PointNetwork) -> list[tuple[nn.Conv2d, nn.BatchNorm2d | None]]:
    assert model.descriptor is not None
    return [*convolutions(model.encoder), *convolutions(model.detector), *convolutions(model.descriptor)]


def to_layout(model: PointNetwork, layout: Literal["magicleap", "transformers"]) -> dict[str, Tensor]:
    """A network's weights under another project's names, BatchNorm folded.

    Args:
        model: It stays as it is.
        layout: Whose names; transformers takes any width, magicleap the paper's alone, which its programs write down.

    Returns:
        float32 tensors on the CPU by name.

    Raises:
        InputError: The network has no descriptors, or not the form that the layout has.
    """
    if model.descriptor is None:
        raise InputError("these layouts have a descriptor head, and the network has none")
    form = model.settings.width, model.settings.descriptor_dim
    if layout == "magicleap" and form != (1.0, DESCRIPTOR_DIM):
        raise InputError(
            f"programs that read magicleap's layout have the paper's network, width 1 and {DESCRIPTOR_DIM} numbers a "
            f"descriptor; this one has width {form[0]:g} and {form[1]}: take the layout transformers"
        )
    tensors: dict[str, Tensor] = {}
    for name, (convolution, _) in zip(_CONVOLUTIONS[layout], _all_convolutions(fold_batch_norm(model)), strict=True):
        assert convolution.bias is not None
        tensors[f"{name}.weight"] = convolution.weight.detach().cpu().float().contiguous()
        tensors[f"{name}.bias"] = convolution.bias.detach().cpu().float().contiguous()
    return tensors


def write_magicleap(path: AnyPath, model: PointNetwork) -> Path:
    """Write a network as the `.pth` file that readers of Magic Leap's layout load: our weights, under those names.

    The file has no place for a provenance: a reader takes each of its entries for a tensor of the network.

    Returns:
        `path`.

    Raises:
        OSError: The file cannot be written.
        InputError: See `to_layout`.
    """
    path, tensors = Path(path), to_layout(model, "magicleap")
    write_atomically(path, lambda temporary: torch.save(tensors, temporary))
    return path


def write_transformers(
    folder: AnyPath,
    model: PointNetwork,
    provenance: Mapping[str, Any] | None = None,
    settings: DecodeSettings | None = None,
) -> Path:
    """Write a network as a folder for `SuperPointForKeypointDetection.from_pretrained`.

    The maps there are the network's; the keypoints are whole pixels, and the descriptors are sampled up to half a cell
    beside them, as that class does it.

    Args:
        folder: It is made; `config.json` and `model.safetensors` in it are replaced.
        model: It stays as it is.
        provenance: Where the weights come from; kept in the metadata of `model.safetensors`.
        settings: How its own decoding is set; None stands for `DecodeSettings()`. It always works in whole pixels.

    Returns:
        `folder`.

    Raises:
        OSError: A file cannot be written.
        InputError: See `to_layout`.
    """
    folder, tensors = Path(folder), to_layout(model, "transformers")
    settings = settings or DecodeSettings()
    channels = [len(tensors[f"encoder.conv_blocks.{number}.conv_a.weight"]) for number in _NUMBERS]
    config = {
        "architectures": ["SuperPointForKeypointDetection"],
        "model_type": "superpoint",
        "encoder_hidden_sizes": channels,
        "decoder_hidden_size": len(tensors["keypoint_decoder.conv_score_a.weight"]),
        "keypoint_decoder_dim": DUSTBIN + 1,
        "descriptor_decoder_dim": model.settings.descriptor_dim,
        "keypoint_threshold": settings.threshold,
        "max_keypoints": -1 if settings.max_keypoints is None else settings.max_keypoints,
        "nms_radius": settings.nms_radius,
        "border_removal_distance": settings.border,
    }
    origin = {"weights_hash": weights_hash(model.state_dict()), **(provenance or {})}
    content = save(tensors, {"format": "pt", "provenance": json.dumps(origin)})
    text = json.dumps(config, indent=2) + "\n"
    write_atomically(folder / "model.safetensors", lambda temporary: temporary.write_bytes(content))
    write_atomically(folder / "config.json", lambda temporary: temporary.write_text(text, encoding="utf-8"))
    return folder
