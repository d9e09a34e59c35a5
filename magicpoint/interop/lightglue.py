"""Features as LightGlue takes them, the original and kornia's."""

from __future__ import annotations

from torch import Tensor

from ..core.errors import InputError
from ..core.types import Features


def as_lightglue(features: Features) -> dict[str, Tensor]:
    """One of the two images of LightGlue's input, as a batch of one.

    `matcher({"image0": as_lightglue(features0), "image1": as_lightglue(features1)})`; its `matches[0]` are indices of
    these keypoints. In both programs the centre of the top-left pixel is (0, 0). LightGlue must have been trained on
    descriptors of the same weights.

    Returns:
        `keypoints` (1, N, 2), `keypoint_scores` (1, N), `descriptors` (1, N, D) and `image_size` (1, 2) as (W, H), all
        float32 on the features' device.

    Raises:
        InputError: There are no descriptors.
    """
    if features.descriptors is None:
        raise InputError("LightGlue needs descriptors, and a detector such as MagicPoint gives none")
    return {
        "keypoints": features.keypoints[None],
        "keypoint_scores": features.keypoint_scores[None],
        "descriptors": features.descriptors[None],
        "image_size": features.keypoints.new_tensor([features.image_size]),
    }
