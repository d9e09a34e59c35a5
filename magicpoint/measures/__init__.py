"""What is measured, as functions of points and nothing else. Imports `core`, `matching` and `homography`."""
