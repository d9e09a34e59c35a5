"""The network on torch in floating point."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ...core.machine import resolve_precision
from ...model.fold import fold_batch_norm
from ...model.network import PointNetwork
from ..settings import NetworkPrecision
from .base import Engine, Maps, as_json, to_maps


class TorchNetwork:
    """BatchNorm folded into the convolutions, channels last."""

    def __init__(self, model: nn.Module, device: torch.device, dtype: torch.dtype) -> None:
        ready = fold_batch_norm(model) if isinstance(model, PointNetwork) else copy.deepcopy(model).eval()
        self._model: nn.Module = ready.to(device, dtype).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._device, self._dtype = device, dtype
        self.settings = as_json("torch", str(dtype).removeprefix("torch."))

    @torch.inference_mode()
    def __call__(self, image: Tensor) -> Maps:
        image = image.to(self._device, self._dtype).contiguous(memory_format=torch.channels_last)
        return to_maps(self._model(image))


def _open(
    model: nn.Module, device: torch.device, precision: NetworkPrecision, calibration: Sequence[Tensor] | None
) -> TorchNetwork:
    name = resolve_precision("auto", device) if precision == "auto" else precision
    return TorchNetwork(model, device, getattr(torch, name))


ENGINE = Engine(("auto", "float32", "bfloat16", "float16"), _open, devices=None, module=nn.Module)
