"""What `precision="auto"` takes: the fastest number format on this machine that keeps the network's keypoints."""

from __future__ import annotations

import platform
import time
from typing import get_args

import numpy as np
import torch
from torch import Tensor

from synthetic_shapes import ShapeSettings, render_sample

from ..core.cache import keep, recall
from ..core.errors import MagicpointError
from ..core.types import Features
from ..decoding.decode import decode
from ..decoding.descriptors import sample_descriptors
from ..decoding.settings import DecodeSettings
from ..measures.agreement import compare_features
from ..model.network import PointNetwork
from ..model.tensors import check_output
from ..model.weights import weights_hash
from .backends import open_network
from .backends.base import Network
from .settings import NetworkPrecision

LEAST_FOUND, LEAST_COSINE = 0.97, 0.99
"""The share of float32's keypoints that has to be there within a pixel, and the mean cosine of their descriptors."""

LARGEST_SHARE = 0.8
"""Of float32's time: what gains less is not worth other numbers."""

_CANDIDATES: dict[str, tuple[NetworkPrecision, ...]] = {
    "cpu": ("float32", "bfloat16", "int8"),
    "cuda": ("float32", "bfloat16", "float16"),
}
_SETTINGS = DecodeSettings(max_keypoints=500)
_SHAPES = 6
_SPEED_SIZE_HW = (480, 640)
_ROUNDS = 3


def fastest_precision(model: PointNetwork, device: torch.device, backend: str) -> NetworkPrecision:
    """The number format that is fastest of those that agree with float32 on rendered shapes.

    It is measured once for a network on a machine, a few seconds, and then stands in the cache (`core.cache`).

    Args:
        model: It stays as it is.
        device: On which it is to run.
        backend: The engine; one other than torch has float32 alone.
    """
    candidates = _CANDIDATES.get(device.type, ("float32",)) if backend == "torch" else ("float32",)
    if len(candidates) == 1:
        return candidates[0]
    name = f"precision/{weights_hash(model.state_dict())[:32]}"
    known, machine = recall(name), _machine(device)
    taken: NetworkPrecision | None = known.get(machine)
    if taken in candidates and taken in get_args(NetworkPrecision):
        return taken
    taken = _measure(model, device, candidates)
    keep(name, {**known, machine: taken})
    return taken


def _machine(device: torch.device) -> str:
    """What the times depend on beside the network."""
    if device.type == "cuda":
        chip = torch.cuda.get_device_name(device)
    else:
        chip = f"{_processor()}, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}"
    return f"{chip}, torch {torch.__version__}"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _measure(model: PointNetwork, device: torch.device, candidates: tuple[NetworkPrecision, ...]) -> NetworkPrecision:
    networks: dict[NetworkPrecision, Network] = {}
    images = [
        torch.from_numpy(render_sample(7, number, ShapeSettings((240, 320)), "test")[0].astype(np.float32) / 255)
        for number in range(_SHAPES)
    ]
    exact: list[Features] = []
    for precision in candidates:
        try:
            network = open_network(model, device, precision=precision)
            found = [_features(network, image[None, None]) for image in images]
        except (MagicpointError, RuntimeError):  # torch's, where it lacks the format on this device
            continue
        exact = exact or found
        agreement = compare_features(exact, found)
        if agreement.found >= LEAST_FOUND and (agreement.mean_cosine or 1.0) >= LEAST_COSINE:
            networks[precision] = network
    if "float32" not in networks:
        return "float32"  # whoever runs it gets the error with the name of the weights
    seconds = _seconds(networks, device)
    quick = {name: time for name, time in seconds.items() if time <= LARGEST_SHARE * seconds["float32"]}
    return min(quick, key=quick.__getitem__) if quick else "float32"


def _features(network: Network, image: Tensor) -> Features:
    heatmap, dense = network(image)
    check_output(heatmap, "unnamed")
    [(keypoints, scores)] = decode(heatmap, _SETTINGS)
    described = None if dense is None else sample_descriptors(dense, [keypoints])[0]
    return Features(keypoints, scores, described, (image.shape[3], image.shape[2])).to("cpu")


def _seconds(networks: dict[NetworkPrecision, Network], device: torch.device) -> dict[NetworkPrecision, float]:
    """The least of some calls, in turns, after one that is not counted."""
    image = torch.rand(1, 1, *_SPEED_SIZE_HW, generator=torch.Generator().manual_seed(0))
    taken: dict[NetworkPrecision, list[float]] = {name: [] for name in networks}
    for _ in range(_ROUNDS + 1):
        for name, network in networks.items():
            start = time.perf_counter()
            network(image)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            taken[name].append(time.perf_counter() - start)
    return {name: min(times[1:]) for name, times in taken.items()}
