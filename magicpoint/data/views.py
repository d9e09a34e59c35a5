"""Views of an image: two with the homography between them, or a part of it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from homography import resizing, sample_homography, warp_image, warp_points

from .photometric import augment_photometric
from .samples import TrainingSample, Views, keep_visible, warp_mask
from .settings import ViewSettings


def make_views(sample: TrainingSample, settings: ViewSettings, rng: np.random.Generator) -> Views:
    """Makes two views of one image, as `show_views` shows them, each in a light of its own.

    Raises:
        ValueError: the parts of the sample do not fit together.
    """
    return change_light(show_views(sample, settings, rng), settings, rng)


def show_views(sample: TrainingSample, settings: ViewSettings, rng: np.random.Generator) -> Views:
    """Two views of one image in the image's own light.

    View 0 is a crop of the image at random size, or that crop warped, and view 1 is view 0 warped by `H_0to1`. Each
    is rendered from the image itself, shrunk as far as the view shows it smaller: so neither has an alias, view 1 is no
    blurrier than view 0, and it shows what lies beside it. Keypoints that a view does not show, or shows where its mask
    is invalid, are dropped.

    Raises:
        ValueError: the parts of the sample do not fit together.
    """
    image, keypoints, certainties, mask = sample
    if image.ndim != 2 or mask.shape != image.shape or keypoints.shape != (len(certainties), 2):
        shapes = ", ".join(f"{name} {part.shape}" for name, part in sample._asdict().items())
        raise ValueError(f"these do not fit together: {shapes}")
    height, width = settings.size_hw
    H_to0 = _draw_crop((image.shape[1], image.shape[0]), settings, rng)
    if rng.random() < settings.first_warp_probability:
        H_to0 = sample_homography((width, height), rng, settings.homographic) @ H_to0
    H_0to1 = sample_homography((width, height), rng, settings.homographic)
    view0, view1 = (_show(sample, H, settings.size_hw) for H in (H_to0, H_0to1 @ H_to0))
    return Views(view0, view1, H_0to1)


def change_light(views: Views, settings: ViewSettings, rng: np.random.Generator) -> Views:
    """The views with light, lens, sensor and file changed, of each by itself."""
    view0, view1 = (
        view._replace(image=augment_photometric(view.image, settings.photometric, rng))
        for view in (views.view0, views.view1)
    )
    return Views(view0, view1, views.H_0to1)


def _draw_crop(image_size: tuple[int, int], settings: ViewSettings, rng: np.random.Generator) -> NDArray[np.float64]:
    """From an image of size (W, H) to a crop of the settings' size that shows a random share of it."""
    height, width = settings.size_hw
    smallest = max(width / image_size[0], height / image_size[1])
    scale = smallest * settings.smallest_crop ** -rng.random()
    resized = max(width, round(image_size[0] * scale)), max(height, round(image_size[1] * scale))
    return _place(image_size, resized, (width, height), rng)


def _place(
    image_size: tuple[int, int], resized: tuple[int, int], crop_size: tuple[int, int], rng: np.random.Generator
) -> NDArray[np.float64]:
    """From an image to a crop, anywhere in it, of the image as it is resized; all sizes are (W, H)."""
    left, top = (int(rng.integers(0, whole - part + 1)) for whole, part in zip(resized, crop_size, strict=True))
    return np.array([[1.0, 0.0, -left], [0.0, 1.0, -top], [0.0, 0.0, 1.0]]) @ resizing(image_size, resized)


def _show(sample: TrainingSample, H: NDArray[np.float64], size_hw: tuple[int, int]) -> TrainingSample:
    """The view of a sample under `H`, from the sample to the view."""
    height, width = size_hw
    image, mask, H_shrunk = _shrink(sample, H, (width, height))
    view = warp_image(image, H_shrunk, (width, height))
    seen = warp_mask(mask, H_shrunk, (width, height))
    return keep_visible(TrainingSample(view, warp_points(sample.keypoints, H), sample.certainties, seen))


def crop(
    sample: TrainingSample, size_hw: tuple[int, int], smallest_scale: float, rng: np.random.Generator
) -> TrainingSample:
    """A part of a sample at random, near its own scale, so that a detector learns what it will be shown.

    Args:
        sample: Of any size.
        size_hw: Height and width of the part, in its own pixels.
        smallest_scale: The sample is shrunk to this at most, or enlarged where it would not fill the part otherwise.
        rng: Where the draws come from.
    """
    height, width = size_hw
    size = sample.image.shape[1], sample.image.shape[0]
    scale = max(width / size[0], height / size[1], smallest_scale ** rng.random())
    resized = max(width, round(size[0] * scale)), max(height, round(size[1] * scale))
    return _show(sample, _place(size, resized, (width, height), rng), size_hw)


def _shrink(
    sample: TrainingSample, H: NDArray[np.float64], view_size: tuple[int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.float64]]:
    """A sample's image and mask at the scale of the middle of a view, at most at their own, and from there to the view.

    Pixels are averaged over areas, which keeps fine texture from aliasing.
    """
    image, mask = sample.image, sample.valid_mask
    old = image.shape[1], image.shape[0]
    middle = np.linalg.solve(H, [(view_size[0] - 1) / 2, (view_size[1] - 1) / 2, 1.0])
    # The determinant of a homography's derivative at (x, y) is det H over the cube of H's third row times (x, y, 1).
    depth = H[2] @ (middle / middle[2])
    zoom = min(1.0, float(np.sqrt(abs(np.linalg.det(H) / depth**3))))
    new = max(1, round(zoom * old[0])), max(1, round(zoom * old[1]))
    if new == old:
        return image, mask, H
    shrunk = np.asarray(cv2.resize(image, new, interpolation=cv2.INTER_AREA), np.uint8)
    valid = cv2.resize(mask.astype(np.uint8) * 255, new, interpolation=cv2.INTER_AREA) == 255
    return shrunk, np.asarray(valid), H @ np.linalg.inv(resizing(old, new))
