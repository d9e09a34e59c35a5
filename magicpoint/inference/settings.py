"""In which numbers a network runs."""

from __future__ import annotations

from typing import Literal

NetworkPrecision = Literal["auto", "float32", "bfloat16", "float16", "int8"]
