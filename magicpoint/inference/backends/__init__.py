"""The network for extraction: one call, on several engines and in several number formats; a file for each."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, get_args

from ...core.errors import InputError
from ...core.extras import require
from ..settings import NetworkPrecision

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from .base import Engine, Network

ENGINES = {
    "torch": ("torch_float", "torch_int8"),
    "onnxruntime": ("onnxruntime",),
}
"""By the name under which it is chosen, the files of this folder with its `ENGINE`, one or several for different
precisions. They are imported when they are used. An engine is a file here and a row."""


def open_network(
    model: nn.Module,
    device: torch.device,
    backend: str = "torch",
    precision: NetworkPrecision = "float32",
    calibration: Sequence[Tensor] | None = None,
) -> Network:
    """Make a network ready to run on an engine.

    Args:
        model: A `PointNetwork`, or for torch in floating point any module that gives an `Output`. It stays as it is.
        device: Where the results shall be.
        backend: A name of `ENGINES`.
        precision: Number format of the layers. float32 gives the same keypoints on all machines but for rounding.
            auto takes bfloat16 where a short trial is faster with it; int8 is for the CPU, see `torch_int8`.
        calibration: For int8, see `torch_int8.QuantizedNetwork`.

    Raises:
        InputError: The arguments contradict each other, or are unknown.
        MachineError: The processor cannot do it.
        MissingPackageError: The backend's package is not installed; the message says how to get it.
    """
    engine = _choose(backend, precision)
    if calibration is not None and precision != "int8":
        raise InputError(f"calibration images are for int8, not for {precision}")
    if engine.devices is not None and device.type not in engine.devices:
        places = " or ".join("the CPU" if kind == "cpu" else kind for kind in engine.devices)
        raise InputError(f"{backend} in {precision} runs on {places}, got device {device}")
    if not isinstance(model, engine.module):
        raise InputError(f"{backend} in {precision} needs a {engine.module.__name__}, got {type(model).__name__}")
    if engine.package is not None:
        require(*engine.package)
    return engine.open(model, device, precision, calibration)


def preferred_device(backend: str, precision: NetworkPrecision) -> torch.device:
    """CUDA where there is one and the engine runs there, else the first that the engine takes."""
    import torch

    from ...core.machine import default_device

    engine, default = _choose(backend, precision), default_device()
    return default if engine.devices is None or default.type in engine.devices else torch.device(engine.devices[0])


def _choose(backend: str, precision: NetworkPrecision) -> Engine:
    """The engine of that name that takes the precision."""
    if backend not in ENGINES:
        raise InputError(f"backend must be one of {', '.join(ENGINES)}, got {backend!r}")
    if precision not in get_args(NetworkPrecision):
        raise InputError(f"precision must be one of {', '.join(get_args(NetworkPrecision))}, got {precision!r}")
    engines: list[Engine] = [import_module(f".{file}", __name__).ENGINE for file in ENGINES[backend]]
    for engine in engines:
        if precision in engine.precisions:
            return engine
    taken = [name for engine in engines for name in engine.precisions if name != "auto"]
    raise InputError(f"{backend} runs {', '.join(taken)}, got precision {precision}")
