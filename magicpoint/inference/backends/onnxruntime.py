"""The exported graph in ONNX Runtime."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...core.extras import require
from ...decoding.settings import DecodeSettings
from ...export.onnx import onnx_model
from ...model.network import PointNetwork
from .base import Engine, Maps, as_json


class OnnxNetwork:
    """The exported graph in ONNX Runtime, with as many threads as torch has."""

    def __init__(self, model: PointNetwork) -> None:
        self._open(onnx_model(model, "dense", DecodeSettings()))

    def _open(self, graph: bytes) -> None:
        runtime = require("onnxruntime", "onnx")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        self._graph = graph
        self._session: Any = runtime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self.settings = as_json("onnxruntime", "float32", version=runtime.__version__)

    def __getstate__(self) -> bytes:
        return self._graph  # a session stays in its process

    def __setstate__(self, graph: bytes) -> None:
        self._open(graph)

    def __call__(self, image: Tensor) -> Maps:
        heatmap, *descriptors = map(torch.from_numpy, self._session.run(None, {"image": image.cpu().numpy()}))
        return Maps(heatmap, descriptors[0] if descriptors else None)


ENGINE = Engine(
    ("auto", "float32"),
    lambda model, device, precision, calibration: OnnxNetwork(model),
    package=("onnxruntime", "onnx"),
)
