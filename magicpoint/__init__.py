"""Learned keypoints, the whole way: synthetic shapes, training, homographic adaptation, evaluation, matching."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .adaptation.labeller import AdaptationSettings
    from .core.types import Features, Labels, Matches
    from .data.photometric import PhotometricSettings
    from .data.settings import AugmentationSettings, PairSettings
    from .decoding.decode import DecodeSettings
    from .export.onnx import export_model
    from .inference.extractor import Extractor
    from .io.features import read_features
    from .io.images import read_image
    from .io.labels import read_labels
    from .jobs.adapt import adapt_images
    from .jobs.evaluate import evaluate_pairs, evaluate_synthetic
    from .jobs.extract import extract_images
    from .jobs.finetune.run import FinetuneSettings, finetune_images
    from .jobs.match import match_images
    from .jobs.track import track_video
    from .matching.homography import estimate_homography
    from .matching.nearest import MatchSettings, match_features
    from .matching.tracks import Tracker, TrackSettings
    from .model.network import MagicPoint, ModelSettings, SuperPoint
    from .pictures.matches import draw_matches
    from .training.loop import train_model
    from .training.losses.detector import detector_loss
    from .training.settings import JointSettings, TrainSettings
    from .training.targets import draw_keypoint_map, labels2Dto3D, labels3Dto2D, mask_to_cells

# None has the name of a module: importing that would put the module in its place.
_HOMES = {
    "AdaptationSettings": "adaptation.labeller",
    "AugmentationSettings": "data.settings",
    "DecodeSettings": "decoding.decode",
    "Extractor": "inference.extractor",
    "Features": "core.types",
    "FinetuneSettings": "jobs.finetune.run",
    "JointSettings": "training.settings",
    "Labels": "core.types",
    "MagicPoint": "model.network",
    "MatchSettings": "matching.nearest",
    "Matches": "core.types",
    "ModelSettings": "model.network",
    "PairSettings": "data.settings",
    "PhotometricSettings": "data.photometric",
    "SuperPoint": "model.network",
    "TrackSettings": "matching.tracks",
    "Tracker": "matching.tracks",
    "TrainSettings": "training.settings",
    "adapt_images": "jobs.adapt",
    "detector_loss": "training.losses.detector",
    "draw_keypoint_map": "training.targets",
    "draw_matches": "pictures.matches",
    "estimate_homography": "matching.homography",
    "evaluate_pairs": "jobs.evaluate",
    "evaluate_synthetic": "jobs.evaluate",
    "export_model": "export.onnx",
    "extract_images": "jobs.extract",
    "finetune_images": "jobs.finetune.run",
    "labels2Dto3D": "training.targets",
    "labels3Dto2D": "training.targets",
    "mask_to_cells": "training.targets",
    "match_features": "matching.nearest",
    "match_images": "jobs.match",
    "read_features": "io.features",
    "read_image": "io.images",
    "read_labels": "io.labels",
    "track_video": "jobs.track",
    "train_model": "training.loop",
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
