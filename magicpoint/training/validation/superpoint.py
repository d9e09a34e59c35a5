"""The measures by which joint training judges itself, on two views of images that it never trains on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import torch

from synthetic_shapes.sample import sample_generator

from ...data.image_files import ImageFiles
from ...data.labelled_images import LabelledImages
from ...data.samples import Views
from ...data.settings import ViewSettings
from ...data.view_features import features_of_view
from ...data.views import make_views
from ...decoding.settings import DecodeSettings
from ...matching.nearest import match_features
from ...measures.matches import match_errors, matching_accuracy, matching_score
from ...measures.repeatability import repeatability
from ...measures.statistics import mean_of_defined
from ...model.network import PointNetwork

TOLERANCE = 3.0
PIXELS_PER_KEYPOINT = 256
"""So many of the best keypoints of each view are compared, as 300 of 240x320 in the paper (SuperPoint, section 7.2)."""


class ViewValidator:
    """Measures detector and descriptors on the same views each time, two of each held-out image.

    Args:
        dataset: The images.
        indices: Those of them to take.
        settings: How views are made; each view 0 is a plain crop.
    """

    def __init__(self, dataset: LabelledImages | ImageFiles, indices: Sequence[int], settings: ViewSettings) -> None:
        self._dataset, self._indices = dataset, indices
        self._settings = replace(settings, first_warp_probability=0.0)

    @cached_property
    def _views(self) -> list[Views]:
        return [
            make_views(self._dataset[index], self._settings, sample_generator(0, "validation pair", index))
            for index in self._indices
        ]

    def measure(self, model: PointNetwork, device: torch.device) -> dict[str, float]:
        """Runs the network in evaluation mode and leaves it in the mode in which it was.

        Returns:
            Means over the pairs of views in which they are defined, at 3 px, of the best keypoints of each view:
            `repeatability`, `localization_error` (pixels), `matching_score` and `matching_accuracy`, the share
            of the mutual nearest neighbours that are right; and `keypoints_per_image`, their mean number.
        """
        training = model.training
        model.eval()
        try:
            measured = [self._measure_views(model, device, views) for views in self._views]
        finally:
            model.train(training)
        return {name: mean_of_defined([figures[name] for figures in measured]) for name in measured[0]}

    def _measure_views(self, model: PointNetwork, device: torch.device, views: Views) -> dict[str, float]:
        view0, view1, H_0to1 = views
        decoding = DecodeSettings(max_keypoints=view0.image.size // PIXELS_PER_KEYPOINT)
        features0, features1 = (features_of_view(model, view, decoding, device) for view in (view0, view1))
        sizes = features0.image_size, features1.image_size
        repeated = repeatability(features0.keypoints, features1.keypoints, H_0to1, *sizes, TOLERANCE)
        matches = match_features(features0, features1)
        errors = match_errors(features0, features1, matches, H_0to1)
        return {
            "repeatability": repeated.one_to_one,
            "localization_error": repeated.localization_error,
            "matching_score": matching_score(features0, features1, matches, H_0to1, TOLERANCE),
            "matching_accuracy": float(matching_accuracy(errors, [TOLERANCE])[0]),
            "keypoints_per_image": (len(features0) + len(features1)) / 2,
        }
