"""What runs the network, and in which numbers."""

from __future__ import annotations

from typing import Literal

Backend = Literal["torch", "onnxruntime"]


NetworkPrecision = Literal["auto", "float32", "bfloat16", "float16", "int8"]
