"""Synthetic images of simple shapes with exact sub-pixel corner labels."""

from .dataset import DatasetSettings, ShapesDataset, generate_dataset
from .errors import DatasetError
from .legacy import convert_legacy_dataset
from .primitives import PRIMITIVES, SHAPES_WITH_KEYPOINTS, STANDARD_SHAPES
from .sample import Sample, ShapeSettings, render_sample, render_shape

__all__ = [
    "PRIMITIVES",
    "SHAPES_WITH_KEYPOINTS",
    "STANDARD_SHAPES",
    "DatasetError",
    "DatasetSettings",
    "Sample",
    "ShapeSettings",
    "ShapesDataset",
    "convert_legacy_dataset",
    "generate_dataset",
    "render_sample",
    "render_shape",
]
