"""The network on torch in floating point."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from ...model.fold import fold_batch_norm
from ...model.network import PointNetwork
from .base import Maps, as_json, to_maps


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
