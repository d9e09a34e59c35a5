"""The names of what can be done with a heatmap before keypoints are found in it."""

from __future__ import annotations

HEATMAP_SWITCHES = ("averaged", "cornerness")
"""As `inference.extractor.Extractor` takes them, the command line has them, and a provenance says them."""
