"""Learned keypoints, the whole way: synthetic shapes, training, homographic adaptation, evaluation, matching."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .config import AugmentationSettings, JointSettings, PairSettings, TrainSettings
    from .decode import DecodeSettings
    from .evaluate import evaluate_synthetic
    from .evaluate_homography import evaluate_pairs
    from .export import export_model
    from .extract import Extractor, extract_images
    from .feature_files import read_features
    from .finetune import FinetuneSettings, finetune_images
    from .images import read_image
    from .label_files import Labels, read_labels
    from .labels import draw_keypoint_map, labels2Dto3D, labels3Dto2D, mask_to_cells
    from .losses import detector_loss
    from .match import Matches, MatchSettings, estimate_homography, match_features
    from .match_overlay import draw_matches, match_images
    from .model import MagicPoint, ModelSettings, SuperPoint
    from .photometric import PhotometricSettings
    from .pseudo_label import AdaptationSettings, adapt_images
    from .track import Tracker, TrackSettings
    from .track_overlay import track_video
    from .train import train_model
    from .types import Features

# None has the name of a module: importing that would put the module in its place.
_HOMES = {
    "AdaptationSettings": "pseudo_label",
    "AugmentationSettings": "config",
    "DecodeSettings": "decode",
    "Extractor": "extract",
    "Features": "types",
    "FinetuneSettings": "finetune",
    "JointSettings": "config",
    "Labels": "label_files",
    "MagicPoint": "model",
    "MatchSettings": "match",
    "Matches": "match",
    "ModelSettings": "model",
    "PairSettings": "config",
    "PhotometricSettings": "photometric",
    "SuperPoint": "model",
    "TrackSettings": "track",
    "Tracker": "track",
    "TrainSettings": "config",
    "adapt_images": "pseudo_label",
    "detector_loss": "losses",
    "draw_keypoint_map": "labels",
    "draw_matches": "match_overlay",
    "estimate_homography": "match",
    "evaluate_pairs": "evaluate_homography",
    "evaluate_synthetic": "evaluate",
    "export_model": "export",
    "extract_images": "extract",
    "finetune_images": "finetune",
    "labels2Dto3D": "labels",
    "labels3Dto2D": "labels",
    "mask_to_cells": "labels",
    "match_features": "match",
    "match_images": "match_overlay",
    "read_features": "feature_files",
    "read_image": "images",
    "read_labels": "label_files",
    "track_video": "track_overlay",
    "train_model": "train",
}

__all__ = [
    "AdaptationSettings",
    "AugmentationSettings",
    "DecodeSettings",
    "Extractor",
    "Features",
    "FinetuneSettings",
    "JointSettings",
    "Labels",
    "MagicPoint",
    "MatchSettings",
    "Matches",
    "ModelSettings",
    "PairSettings",
    "PhotometricSettings",
    "SuperPoint",
    "TrackSettings",
    "Tracker",
    "TrainSettings",
    "adapt_images",
    "detector_loss",
    "draw_keypoint_map",
    "draw_matches",
    "estimate_homography",
    "evaluate_pairs",
    "evaluate_synthetic",
    "export_model",
    "extract_images",
    "finetune_images",
    "labels2Dto3D",
    "labels3Dto2D",
    "mask_to_cells",
    "match_features",
    "match_images",
    "read_features",
    "read_image",
    "read_labels",
    "track_video",
    "train_model",
]


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used, so that `magicpoint --help` need not wait for torch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'magicpoint' has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
