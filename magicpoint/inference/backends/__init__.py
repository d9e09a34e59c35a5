"""The network for extraction: one call, on several engines and in several number formats; a file for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import torch
from torch import Tensor, nn

from ...core.machine import resolve_precision
from ...model.network import PointNetwork
from ..settings import Backend, NetworkPrecision
from .base import Network
from .onnxruntime import OnnxNetwork
from .torch_float import TorchNetwork
from .torch_int8 import Int8Network


def open_network(
    model: nn.Module,
    device: torch.device,
    backend: Backend = "torch",
    precision: NetworkPrecision = "float32",
    calibration: Sequence[Tensor] | None = None,
) -> Network:
    """Make a network ready to run on an engine.

    Args:
        model: A `PointNetwork`, or for torch in floating point any module that gives an `Output`. It stays as it is.
        device: Where the results shall be.
        backend: torch; or ONNX Runtime, on the CPU and in float32.
        precision: Number format of the layers. float32 gives the same keypoints on all machines but for rounding.
            auto takes bfloat16 where a short trial is faster with it; int8 is for the CPU, see `torch_int8`.
        calibration: For int8, see `torch_int8.QuantizedNetwork`.

    Raises:
        ImportError: The backend's package is not installed; the message says how to get it.
        RuntimeError: The processor cannot do it.
        ValueError: The arguments contradict each other, or are unknown.
    """
    if backend not in get_args(Backend):
        raise ValueError(f"backend must be one of {', '.join(get_args(Backend))}, got {backend!r}")
    if precision not in get_args(NetworkPrecision):
        raise ValueError(f"precision must be one of {', '.join(get_args(NetworkPrecision))}, got {precision!r}")
    if calibration is not None and precision != "int8":
        raise ValueError(f"calibration images are for int8, not for {precision}")
    if backend == "onnxruntime" or precision == "int8":
        if device.type != "cpu":
            raise ValueError(f"{backend} in {precision} runs on the CPU, got device {device}")
        if not isinstance(model, PointNetwork):
            raise ValueError(f"{backend} in {precision} needs a PointNetwork, got {type(model).__name__}")
        if backend == "torch":
            return Int8Network(model, calibration)
        if precision not in ("auto", "float32"):
            raise ValueError(f"onnxruntime runs float32, got precision {precision}")
        return OnnxNetwork(model)
    dtype: torch.dtype = getattr(torch, precision if precision == "float16" else _resolved(precision, device))
    return TorchNetwork(model, device, dtype)


def _resolved(precision: NetworkPrecision, device: torch.device) -> str:
    assert precision in ("auto", "float32", "bfloat16")
    return resolve_precision(precision, device)
