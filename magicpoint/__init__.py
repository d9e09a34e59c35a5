"""Learned keypoints, the whole way: synthetic shapes, training, evaluation, extraction."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .config import AugmentationSettings, TrainSettings
    from .decode import DecodeSettings
    from .evaluate import evaluate_synthetic
    from .extract import Extractor
    from .labels import draw_keypoint_map, labels2Dto3D, labels3Dto2D, mask_to_cells
    from .losses import detector_loss
    from .model import MagicPoint, ModelSettings, SuperPoint
    from .photometric import PhotometricSettings
    from .train import train_model
    from .types import Features

_HOMES = {
    "AugmentationSettings": "config",
    "DecodeSettings": "decode",
    "Extractor": "extract",
    "Features": "types",
    "MagicPoint": "model",
    "ModelSettings": "model",
    "PhotometricSettings": "photometric",
    "SuperPoint": "model",
    "TrainSettings": "config",
    "detector_loss": "losses",
    "draw_keypoint_map": "labels",
    "evaluate_synthetic": "evaluate",
    "labels2Dto3D": "labels",
    "labels3Dto2D": "labels",
    "mask_to_cells": "labels",
    "train_model": "train",
}

__all__ = [
    "AugmentationSettings",
    "DecodeSettings",
    "Extractor",
    "Features",
    "MagicPoint",
    "ModelSettings",
    "PhotometricSettings",
    "SuperPoint",
    "TrainSettings",
    "detector_loss",
    "draw_keypoint_map",
    "evaluate_synthetic",
    "labels2Dto3D",
    "labels3Dto2D",
    "mask_to_cells",
    "train_model",
]


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used, so that `magicpoint --help` need not wait for torch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'magicpoint' has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
