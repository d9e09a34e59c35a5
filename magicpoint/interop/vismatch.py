"""This project's network and matching as a matcher of vismatch, the collection of image matchers."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..core.extras import require
from ..decoding.settings import DecodeSettings
from ..inference.extractor import Extractor
from ..matching.nearest import Matching, match_features


def vismatch_matcher(
    weights: str = "superpoint",
    settings: DecodeSettings | None = None,
    matching: Matching | None = None,
    device: str = "cpu",
    **ransac: Any,
) -> Any:
    """A `vismatch.BaseMatcher`: called with two images it gives keypoints, matches and the homography.

    Args:
        weights: As for `Extractor.load`; with descriptors.
        settings: None stands for `DecodeSettings()`.
        matching: None stands for `MatchSettings()`; a `LearnedMatcher` matches in its own way.
        device: Of the network.
        ransac: What the base class takes, such as `ransac_reproj_thresh`.

    Raises:
        MissingPackageError: vismatch is not installed.
        InputError: There are no such weights, or they have no descriptors.
    """
    base = require("vismatch", source="https://github.com/gmberton/vismatch").BaseMatcher
    extractor = Extractor.load(weights, settings, device)
    extractor.check_describes()

    class MagicPoint(base):  # type: ignore[misc, valid-type]
        """An extractor and the matching of nearest descriptors."""

        def _forward(self, img0: Tensor, img1: Tensor) -> tuple[Tensor | None, ...]:
            """Of images (3, H, W): matched and all keypoints, all descriptors, and the scores of the matches."""
            # Images that were resized may reach beyond [0, 1], which vismatch allows.
            features0, features1 = (extractor.extract(image.clamp(0, 1)).to("cpu") for image in (img0, img1))
            found = match_features(features0, features1, matching)
            index0, index1 = found.matches01.T
            all0, all1 = features0.keypoints, features1.keypoints
            described = (features.descriptors for features in (features0, features1))
            return all0[index0], all1[index1], all0, all1, *described, found.scores

    return MagicPoint(device, **ransac)
