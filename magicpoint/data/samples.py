"""What training learns from: a grey image and what is known of it, alone or in two views."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from homography import valid_mask, warp_image


class TrainingSample(NamedTuple):
    """A grey image and what is known of it: a source's, or what a view shows of that.

    `image` is uint8 (H, W); `keypoints` float32 (N, 2), (x, y) in pixels; `certainties` float32 (N,) in [0, 1];
    `valid_mask` bool (H, W). Where that is False nothing is known: neither that there is a keypoint nor that there is
    none.
    """

    image: NDArray[np.uint8]
    keypoints: NDArray[np.float32]
    certainties: NDArray[np.float32]
    valid_mask: NDArray[np.bool_]


class Views(NamedTuple):
    """Two views of one image, and `H_0to1`, float64 (3, 3), between them."""

    view0: TrainingSample
    view1: TrainingSample
    H_0to1: NDArray[np.float64]


def certain_sample(image: NDArray[np.uint8], keypoints: NDArray[np.float32]) -> TrainingSample:
    """An image all of whose keypoints are known for certain."""
    return TrainingSample(image, keypoints, np.ones(len(keypoints), np.float32), np.ones(image.shape, np.bool_))


def keep_visible(sample: TrainingSample) -> TrainingSample:
    """The sample without the keypoints that lie outside the image, or on an invalid pixel of its mask."""
    image, keypoints, certainties, mask = sample
    seen = are_visible(keypoints, mask)
    return TrainingSample(image, keypoints[seen].astype(np.float32), certainties[seen], mask)


def are_visible(keypoints: NDArray[np.floating], mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which (N, 2) keypoints, (x, y), lie in the grid of pixel centres and on valid pixels of a mask (H, W)."""
    height, width = mask.shape
    seen = np.asarray(((keypoints >= 0) & (keypoints <= (width - 1, height - 1))).all(1))
    column, row = np.rint(keypoints[seen]).astype(np.intp).T
    seen[seen] = mask[row, column]
    return seen


def warp_mask(mask: NDArray[np.bool_], H_0to1: NDArray[np.float64], image_size: tuple[int, int]) -> NDArray[np.bool_]:
    """Which pixels of a view of `image_size`, (W, H), show nothing but valid pixels of an image's mask (H, W)."""
    height, width = mask.shape
    seen = valid_mask((width, height), H_0to1, image_size)
    if not mask.all():
        seen &= warp_image(mask.astype(np.uint8) * 255, H_0to1, image_size) == 255
    return seen
