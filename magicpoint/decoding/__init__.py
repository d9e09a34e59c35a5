"""The network's maps to keypoints and descriptors. Imports `core`."""
