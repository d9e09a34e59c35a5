"""Pairs of views of one image, with the homography between them, as a function of seed and step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from homography import resizing, sample_homography, valid_mask, warp_image, warp_points
from synthetic_shapes.sample import sample_generator

from .config import PairSettings
from .data import Collated, StepBatches, View, collate, keep_visible, to_batch
from .photometric import augment_photometric

LabelledSample = tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.bool_]]
"""A grey image (H, W), its keypoints (N, 3), x, y and certainty in [0, 1], and where they were looked for, (H, W)."""

CollatedPairs = tuple[Collated, Collated, Tensor]
"""The views 0, the views 1, and float64 (B, 3, 3) from the ones to the others."""


class LabelledSource(Protocol):
    """Where images with keypoints come from; spawn-safe, so picklable. The images may differ in size."""

    def sample(self, index: int) -> LabelledSample:
        """Sample number ``index`` of an endless sequence."""


@dataclass(frozen=True, eq=False)
class PairBatch:
    """B pairs of views with their labels, on one device.

    ``image0`` and ``image1`` are float32 (B, 1, H, W) in [0, 1]; ``keypoints0`` and ``keypoints1`` B tensors (N, 2),
    (x, y), what is labelled and seen in each view, and ``certainties0`` and ``certainties1`` B tensors (N,);
    ``valid_mask0`` and ``valid_mask1`` bool (B, 1, H, W); ``H_0to1`` float64 (B, 3, 3).
    """

    image0: Tensor
    image1: Tensor
    keypoints0: list[Tensor]
    keypoints1: list[Tensor]
    certainties0: list[Tensor]
    certainties1: list[Tensor]
    valid_mask0: Tensor
    valid_mask1: Tensor
    H_0to1: Tensor


class PairBatches(StepBatches[CollatedPairs]):
    """Pairs of views."""

    def __init__(
        self,
        source: LabelledSource,
        settings: PairSettings,
        seed: int,
        batch_size: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        super().__init__(batch_size, rank, world_size)
        self._source, self._settings, self._seed = source, settings, seed

    def __getitem__(self, step: int) -> CollatedPairs:
        views0, views1, homographies = zip(*map(self._pair, self.indices(step)), strict=True)
        return collate(views0), collate(views1), torch.from_numpy(np.stack(homographies))

    def _pair(self, index: int) -> tuple[View, View, NDArray[np.float64]]:
        rng = sample_generator(self._seed, "pair", index)
        return make_pair(self._source.sample(index), self._settings, rng)


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


def to_pair_batch(collated: CollatedPairs, device: torch.device) -> PairBatch:
    """Moves collated pairs to the device and unpacks them there."""
    view0, view1 = (to_batch(view, device) for view in collated[:2])
    return PairBatch(
        image0=view0.image,
        image1=view1.image,
        keypoints0=[k[:, :2] for k in view0.keypoints],
        keypoints1=[k[:, :2] for k in view1.keypoints],
        certainties0=[k[:, 2] for k in view0.keypoints],
        certainties1=[k[:, 2] for k in view1.keypoints],
        valid_mask0=view0.valid_mask,
        valid_mask1=view1.valid_mask,
        H_0to1=collated[2].to(device, non_blocking=True),
    )
