"""Synthetic images of simple shapes with exact sub-pixel corner labels."""

from .primitives import PRIMITIVES, SHAPES_WITH_KEYPOINTS
from .sample import ShapeSettings, render_sample, render_shape

__all__ = ["PRIMITIVES", "SHAPES_WITH_KEYPOINTS", "ShapeSettings", "render_sample", "render_shape"]
