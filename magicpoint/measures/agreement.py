"""How well two ways of running one network agree."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch

from ..core.types import Features


@dataclasses.dataclass(frozen=True)
class Agreement:
    """What of a reference's keypoints another result has.

    Args:
        keypoints: Keypoints of the reference.
        found: Share of them with a keypoint of the other result up to the tolerance away; 1 where there are none.
        largest_distance: Of these to the nearest one, in pixels.
        mean_cosine: Of the descriptors of these and the nearest ones; None without descriptors.
        lowest_cosine: The same, the lowest.
    """

    keypoints: int
    found: float
    largest_distance: float
    mean_cosine: float | None
    lowest_cosine: float | None


def compare_features(reference: Sequence[Features], other: Sequence[Features], tolerance: float = 1.0) -> Agreement:
    """Look for each keypoint of a reference, image by image, in another result of the same images.

    Raises:
        ValueError: The counts of the images differ.
    """
    distances, cosines = [torch.zeros(0)], [torch.zeros(0)]
    for expected, got in zip(reference, other, strict=True):
        if len(expected) == 0 or len(got) == 0:
            distances.append(torch.full((len(expected),), torch.inf))
            continue
        exactly = "donot_use_mm_for_euclid_dist"  # the faster way is off by a hundredth of a pixel
        distance, nearest = torch.cdist(expected.keypoints, got.keypoints, compute_mode=exactly).min(dim=1)
        distances.append(distance)
        if expected.descriptors is not None and got.descriptors is not None:
            near = distance <= tolerance
            cosines.append((expected.descriptors[near] * got.descriptors[nearest[near]]).sum(dim=1))
    distance, cosine = torch.cat(distances), torch.cat(cosines)
    near = distance[distance <= tolerance]
    return Agreement(
        len(distance),
        len(near) / len(distance) if len(distance) else 1.0,
        float(near.max()) if len(near) else 0.0,
        float(cosine.mean()) if len(cosine) else None,
        float(cosine.min()) if len(cosine) else None,
    )
