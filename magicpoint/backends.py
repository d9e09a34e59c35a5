"""The network for extraction: one call, on several engines and in several number formats."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, Protocol, get_args

import torch
from torch import Tensor, nn

from .decode import logits_to_heatmap
from .fold import fold_batch_norm
from .model import Output, PointNetwork
from .quantize import QuantizedNetwork
from .runtime import resolve_precision

Backend = Literal["torch", "onnxruntime"]

NetworkPrecision = Literal["auto", "float32", "bfloat16", "float16", "int8"]


class Maps(NamedTuple):
    """What a backend gives for images.

    ``heatmap`` (B, H, W) float32 in [0, 1]; ``descriptors`` (B, D, H/8, W/8) float32 of length 1, or None.
    """

    heatmap: Tensor
    descriptors: Tensor | None


class Network(Protocol):
    """A network that is ready to run. An image gives the same bits whatever else was run before."""

    settings: str
    """What its results depend on beside the weights, as JSON."""

    def __call__(self, image: Tensor) -> Maps:
        """Image (B, 1, H, W) float32 in [0, 1] on any device, H and W multiples of 8, to maps."""


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
            auto takes bfloat16 where a short trial is faster with it; int8 is for the CPU, see `quantize`.
        calibration: For int8, see `quantize.QuantizedNetwork`.

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
            return _Int8Network(model, calibration)
        if precision not in ("auto", "float32"):
            raise ValueError(f"onnxruntime runs float32, got precision {precision}")
        return _OnnxNetwork(model)
    dtype: torch.dtype = getattr(torch, precision if precision == "float16" else _resolved(precision, device))
    return _TorchNetwork(model, device, dtype)


def _resolved(precision: NetworkPrecision, device: torch.device) -> str:
    assert precision in ("auto", "float32", "bfloat16")
    return resolve_precision(precision, device)


def _as_json(backend: Backend, precision: str, **more: str) -> str:
    return json.dumps({"backend": backend, "precision": precision, **more})


class _TorchNetwork:
    """BatchNorm folded into the convolutions, channels last."""

    def __init__(self, model: nn.Module, device: torch.device, dtype: torch.dtype) -> None:
        ready = fold_batch_norm(model) if isinstance(model, PointNetwork) else copy.deepcopy(model).eval()
        self._model: nn.Module = ready.to(device, dtype).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._device, self._dtype = device, dtype
        self.settings = _as_json("torch", str(dtype).removeprefix("torch."))

    @torch.inference_mode()
    def __call__(self, image: Tensor) -> Maps:
        image = image.to(self._device, self._dtype).contiguous(memory_format=torch.channels_last)
        return _maps(self._model(image))


class _Int8Network:
    def __init__(self, model: PointNetwork, calibration: Sequence[Tensor] | None) -> None:
        self._network = QuantizedNetwork(model, calibration)
        self.settings = _as_json("torch", "int8", calibration=self._network.digest)

    @torch.inference_mode()
    def __call__(self, image: Tensor) -> Maps:
        return _maps(self._network(image))


def _maps(output: Output) -> Maps:
    descriptors = None if output.descriptors is None else output.descriptors.float()
    return Maps(logits_to_heatmap(output.logits), descriptors)


class _OnnxNetwork:
    """The exported graph in ONNX Runtime, with as many threads as torch has."""

    def __init__(self, model: PointNetwork) -> None:
        from .export import dense_graph, import_onnxruntime

        runtime = import_onnxruntime()
        options = runtime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        graph = dense_graph(model).SerializeToString()
        self._session: Any = runtime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self.settings = _as_json("onnxruntime", "float32", version=runtime.__version__)

    def __call__(self, image: Tensor) -> Maps:
        heatmap, *descriptors = map(torch.from_numpy, self._session.run(None, {"image": image.cpu().numpy()}))
        return Maps(heatmap, descriptors[0] if descriptors else None)
