"""Matches of many image pairs, checked against the keypoints that they match."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from ..core.types import Matches


def check_pairs(matches: Mapping[tuple[str, str], Matches], counts: Mapping[str, int]) -> None:
    """Refuse matches that cannot be those of their images.

    Args:
        matches: By the keys of image 0 and image 1.
        counts: How many keypoints each image has, by key.

    Raises:
        KeyError: The count of an image is not there.
        ValueError: An image is matched with itself, a match is of a keypoint that there is not, or two are of one
            keypoint of image 0. The message names the pair.
    """
    for pair, found in matches.items():
        if pair[0] == pair[1]:
            raise ValueError(f"an image is matched with itself: {pair[0]}")
        indices, most = found.matches01.cpu(), [counts[key] for key in pair]
        if bool((indices < 0).any() or (indices >= torch.tensor(most)).any()):
            raise ValueError(f"the matches of {pair} do not fit its {most[0]} and {most[1]} keypoints")
        if len(set(indices[:, 0].tolist())) < len(indices):
            raise ValueError(f"a keypoint of image 0 of {pair} has several matches")
