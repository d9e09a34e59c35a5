"""Random homographies, points, images and valid regions through them, and homographic adaptation.

Every homography is named `H_0to1` and maps `(x, y, 1)` of view 0 to view 1 in pixels, the centre of the top-left
pixel being `(0, 0)`. Functions take NumPy arrays or torch tensors and answer in kind; torch is not needed, and not
imported, for NumPy arrays, but for adaptation.
"""

from homography.adaptation import AdaptedHeatmap, adapt
from homography.masks import valid_mask
from homography.sample import HomographySettings, sample_homography, sample_views
from homography.warp import resizing, warp_image, warp_points

__all__ = [
    "AdaptedHeatmap",
    "HomographySettings",
    "adapt",
    "resizing",
    "sample_homography",
    "sample_views",
    "valid_mask",
    "warp_image",
    "warp_points",
]
