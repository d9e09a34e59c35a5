"""How training images and views are made."""

from __future__ import annotations

from dataclasses import dataclass, field

from homography import HomographySettings
from synthetic_shapes.sizes import SizeHW

from ..core.grid import CELL_SIZE
from ..core.settings import check_kinds, check_range, check_size_hw
from .photometric import PhotometricSettings


@dataclass(frozen=True)
class AugmentationSettings:
    """What is done to each training image.

    Args:
        homographic_probability: Chance of an image to be warped.
        homographic: The warps.
        photometric: The changes of light, lens, sensor and file.
    """

    homographic_probability: float = 0.3
    homographic: HomographySettings = field(default_factory=HomographySettings)
    photometric: PhotometricSettings = field(default_factory=PhotometricSettings)

    def __post_init__(self) -> None:
        check_kinds(self)
        check_range(self, "[0, 1]", "homographic_probability")


@dataclass(frozen=True)
class ViewSettings:
    """How two views are made of one image.

    Args:
        size_hw: Height and width of the views, multiples of 8.
        smallest_crop: Smallest side of the crop that view 0 shows, as a share of the largest crop that the image has
            room for.
        first_warp_probability: Chance of view 0 to be warped itself.
        homographic: The homographies from view 0 to view 1, and those of view 0 where it is warped.
        photometric: The changes of light, lens, sensor and file, drawn anew for each view.
    """

    size_hw: SizeHW = (120, 160)
    smallest_crop: float = 0.5
    first_warp_probability: float = 0.3
    homographic: HomographySettings = field(default_factory=lambda: HomographySettings(scale=0.5, patch_ratio=0.75))
    photometric: PhotometricSettings = field(default_factory=lambda: PhotometricSettings(probability=0.35))

    def __post_init__(self) -> None:
        check_kinds(self)
        check_size_hw(self, CELL_SIZE, "size_hw")
        check_range(self, "(0, 1]", "smallest_crop")
        check_range(self, "[0, 1]", "first_warp_probability")
