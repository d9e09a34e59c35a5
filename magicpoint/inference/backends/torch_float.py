"""The network on torch in floating point."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...core.machine import resolve_precision
from ...core.memory import reuse_freed_blocks
from ...model.fold import fold_batch_norm
from ...model.network import Output, PointNetwork
from ..settings import NetworkPrecision
from ..strips import Convolution, Stage, run_in_strips
from .base import Engine, Maps, as_json, to_maps


class TorchNetwork:
    """BatchNorm folded into the convolutions, channels last; on the CPU in strips, see `inference.strips`."""

    def __init__(self, model: nn.Module, device: torch.device, dtype: torch.dtype) -> None:
        ready = fold_batch_norm(model) if isinstance(model, PointNetwork) else copy.deepcopy(model).eval()
        self._model: nn.Module = ready.to(device, dtype).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._device, self._dtype = device, dtype
        self.settings = as_json("torch", str(dtype).removeprefix("torch."))

    @torch.inference_mode()
    def __call__(self, image: Tensor) -> Maps:
        image = image.to(self._device, self._dtype).contiguous(memory_format=torch.channels_last)
        if self._device.type == "cpu" and isinstance(self._model, PointNetwork):
            return to_maps(_run_on_cpu(self._model, image))
        return to_maps(self._model(image))


def _run_on_cpu(model: PointNetwork, image: Tensor) -> Output:
    """What the network gives, its encoder computed in strips."""
    reuse_freed_blocks()
    fuses = _fuses(image.dtype)
    blocks = [layer for layer in model.encoder.layers if isinstance(layer, nn.Sequential)]
    pairs = list(zip(blocks[::2], blocks[1::2], strict=True))
    stages = [
        Stage(_block(first, fuses), _block(second, fuses), max(map(_channels, (first, second))), number < 3)
        for number, (first, second) in enumerate(pairs)
    ]
    features = run_in_strips(stages, image)
    descriptors = None if model.descriptor is None else model.descriptor(features)
    return Output(model.detector(features), descriptors)


def _channels(block: nn.Sequential) -> int:
    convolution = block[0]
    assert isinstance(convolution, nn.Conv2d)
    return convolution.out_channels


def _block(block: nn.Sequential, fuses: bool) -> Convolution:
    """The convolution and the ReLU of a block, and what stands behind."""
    convolution, behind = block[0], block[2] if len(block) > 2 else None
    assert isinstance(convolution, nn.Conv2d)

    def run(activations: Tensor, padded: bool) -> Tensor:
        padding, weight, bias = [int(padded), 1], convolution.weight, convolution.bias
        if fuses:
            place = (padding, [1, 1], [1, 1], 1)  # padding, stride, dilation, groups
            result: Tensor = torch.ops.mkldnn._convolution_pointwise(activations, weight, bias, *place, "relu", [], "")
        else:
            result = F.conv2d(activations, weight, bias, padding=padding).relu_()
        return result if behind is None else behind(result)

    return run


def _fuses(dtype: torch.dtype) -> bool:
    """Whether torch has oneDNN's convolution with a ReLU in it, which spares one way through the activations."""
    operators = torch.ops.mkldnn
    if not (torch.backends.mkldnn.is_available() and hasattr(operators, "_convolution_pointwise")):  # type: ignore[no-untyped-call]
        return False
    return dtype == torch.float32 or (dtype == torch.bfloat16 and bool(operators._is_mkldnn_bf16_supported()))


def _open(
    model: nn.Module, device: torch.device, precision: NetworkPrecision, calibration: Sequence[Tensor] | None
) -> TorchNetwork:
    name = resolve_precision("auto", device) if precision == "auto" else precision
    return TorchNetwork(model, device, getattr(torch, name))


ENGINE = Engine(("auto", "float32", "bfloat16", "float16"), _open, devices=None, module=nn.Module)
