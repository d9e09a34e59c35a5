"""Two views of one image, with the homography between them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from homography import resizing, sample_homography, valid_mask, warp_image, warp_points

from .augment import View, keep_visible
from .photometric import augment_photometric
from .settings import PairSettings
from .sources import LabelledSample


def make_pair(
    sample: LabelledSample, settings: PairSettings, rng: np.random.Generator
) -> tuple[View, View, NDArray[np.float64]]:
    """Makes two views of one image and ``H_0to1``, float64 (3, 3), between them.

    View 0 is a crop of the image at random size, or that crop warped, and view 1 is view 0 warped by ``H_0to1``. Each
    is rendered from the image itself, shrunk as far as the view shows it smaller: so neither has an alias, view 1 is no
    blurrier than view 0, and it shows what lies beside it. Keypoints that a view does not show, or shows where its mask
    is invalid, are dropped.

    Raises:
        ValueError: the sample's keypoints or mask do not fit its image.
    """
    image, keypoints, mask = sample
    if image.shape != mask.shape or image.ndim != 2 or keypoints.ndim != 2 or keypoints.shape[1] != 3:
        raise ValueError(f"image {image.shape}, keypoints {keypoints.shape} and mask {mask.shape} do not fit together")
    height, width = settings.size
    H_to0 = _draw_crop((image.shape[1], image.shape[0]), settings, rng)
    if rng.random() < settings.first_warp_probability:
        H_to0 = sample_homography((width, height), rng, settings.homographic) @ H_to0
    H_0to1 = sample_homography((width, height), rng, settings.homographic)
    view0, view1 = (_render(sample, H, settings, rng) for H in (H_to0, H_0to1 @ H_to0))
    return view0, view1, H_0to1


def _draw_crop(image_size: tuple[int, int], settings: PairSettings, rng: np.random.Generator) -> NDArray[np.float64]:
    """From an image of size (W, H) to a crop of the settings' size that shows a random share of it."""
    height, width = settings.size
    smallest = max(width / image_size[0], height / image_size[1])
    scale = smallest * settings.smallest_crop ** -rng.random()
    resized = max(width, round(image_size[0] * scale)), max(height, round(image_size[1] * scale))
    left, top = (int(rng.integers(0, spare + 1)) for spare in (resized[0] - width, resized[1] - height))
    return np.array([[1.0, 0.0, -left], [0.0, 1.0, -top], [0.0, 0.0, 1.0]]) @ resizing(image_size, resized)


def _render(sample: LabelledSample, H: NDArray[np.float64], settings: PairSettings, rng: np.random.Generator) -> View:
    """The view of a sample under ``H``, from the sample to the view, in a new light."""
    keypoints = sample[1]
    height, width = settings.size
    image, mask, H_shrunk = _shrink(sample, H, (width, height))
    seen = valid_mask((image.shape[1], image.shape[0]), H_shrunk, (width, height))
    if not mask.all():
        seen &= warp_image(mask.astype(np.uint8) * 255, H_shrunk, (width, height)) == 255
    view = augment_photometric(warp_image(image, H_shrunk, (width, height)), settings.photometric, rng)
    placed = np.concatenate((warp_points(keypoints[:, :2], H), keypoints[:, 2:]), 1)
    return view, keep_visible(placed, seen), seen


def _shrink(
    sample: LabelledSample, H: NDArray[np.float64], view_size: tuple[int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.float64]]:
    """A sample's image and mask at the scale of the middle of a view, at most at their own, and from there to the view.

    Pixels are averaged over areas, which keeps fine texture from aliasing.
    """
    image, _, mask = sample
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
