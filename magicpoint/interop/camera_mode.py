"""Which images share a camera in COLMAP."""

from __future__ import annotations

from typing import Literal

CameraMode = Literal["auto", "single", "per_folder", "per_image"]
"""auto: those of one size whose EXIF headers say the same camera and lens."""
