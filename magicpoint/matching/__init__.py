"""Keypoints to matches, homographies and tracks. Imports `core` and `model`."""
