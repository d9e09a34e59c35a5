"""Weights under the names that other projects give them: the same twelve convolutions of SuperPoint.

| layout | where it comes from | tensors |
|---|---|---|
| magicleap | the paper's own release, and whatever loads it (SuperGlue, hloc, LightGlue) | 24 |
| transformers | `SuperPointForKeypointDetection` of Hugging Face's transformers | 24 |
| eric-yyjau | pytorch-superpoint, BatchNorm behind every convolution | 84 |
| rpautrat | SuperPoint in PyTorch, BatchNorm behind every ReLU | 84 |

Only names and shapes are known here, no weights. The first two can be written; `interop.checkpoints` reads all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save
from torch import Tensor, nn

from ..core.errors import InputError
from ..core.files import AnyPath, write_atomically
from ..core.grid import DUSTBIN
from ..decoding.settings import DecodeSettings
from ..model.fold import convolutions, fold_batch_norm, folds
from ..model.network import PointNetwork
from ..model.settings import DESCRIPTOR_DIM
from ..model.weights import weights_hash

ForeignLayout = Literal["magicleap", "transformers", "eric-yyjau", "rpautrat"]

_NUMBERS, _HALVES = range(4), "ab"

CONVOLUTIONS: Mapping[ForeignLayout, list[str]] = {
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
"""The names of the convolutions in the order of the data flow: eight of the encoder, two of the detector, two of the
descriptors.
"""

NORMS: Mapping[ForeignLayout, list[str]] = {
    "magicleap": [],
    "transformers": [],
    "eric-yyjau": [
        *(f"inc.conv.conv.{place}" for place in (1, 4)),
        *(f"down{number}.mpconv.1.conv.{place}" for number in (1, 2, 3) for place in (1, 4)),
        *(f"bn{head}{half}" for head in "PD" for half in _HALVES),
    ],
    "rpautrat": [name.removesuffix("conv") + "bn" for name in CONVOLUTIONS["rpautrat"]],
}
"""The names of the BatchNorm of each convolution, where there are any."""


def all_convolutions(model: PointNetwork) -> list[tuple[nn.Conv2d, nn.BatchNorm2d | None]]:
    """The twelve convolutions of a network with descriptors, each with its BatchNorm."""
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
        raise InputError(f"the format {layout} has a descriptor head, and the network has none")
    if not folds(model):
        raise InputError(f"the format {layout} has no BatchNorm, and that of this network, behind the ReLU, stays")
    form = model.settings.width, model.settings.descriptor_dim
    if layout == "magicleap" and form != (1.0, DESCRIPTOR_DIM):
        raise InputError(
            f"programs that read the format magicleap have the paper's network, width 1 and {DESCRIPTOR_DIM} numbers a "
            f"descriptor; this one has width {form[0]:g} and {form[1]}: take the format transformers"
        )
    tensors: dict[str, Tensor] = {}
    for name, (convolution, _) in zip(CONVOLUTIONS[layout], all_convolutions(fold_batch_norm(model)), strict=True):
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


FILES = ("model.safetensors", "config.json")
"""What `write_transformers` writes."""


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
