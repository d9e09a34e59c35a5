"""Number formats of a network in training."""

from __future__ import annotations

from typing import Literal

Precision = Literal["auto", "float32", "bfloat16", "float16"]
