"""Networks as compared methods.

On both kinds of images the threshold is lowered to `measures.detection.LOWEST_SCORE`: on shapes for the tail of the
precision-recall curve, on pairs so that the number of keypoints decides what counts and not where the network's scores
happen to lie.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from ...core.switches import HEATMAP_SWITCHES
from ...inference.extractor import Extractor
from ...measures.detection import LOWEST_SCORE
from .base import Detect, Found, Image, MethodSettings, Selection


@dataclass(frozen=True)
class NetworkOnShapes:
    """A network, by its extractor's settings but for the threshold."""

    extractor: Extractor

    def settings(self) -> MethodSettings:
        return {**dataclasses.asdict(_lowered(self.extractor).settings), **_switched_on(self.extractor)}

    def detect(self, images: Sequence[Image]) -> list[Found]:
        found = _lowered(self.extractor).extract_batch(images)
        return [(features.keypoints.cpu().numpy(), features.keypoint_scores.cpu().numpy()) for features in found]


@dataclass(frozen=True)
class NetworkOnPairs:
    """A network, by its extractor's settings but for the selection and the threshold."""

    extractor: Extractor

    @property
    def has_descriptors(self) -> bool:
        return self.extractor.model.settings.descriptor_dim > 0

    def settings(self) -> MethodSettings:
        settings, provenance = _lowered(self.extractor).settings, self.extractor.provenance
        return {
            **{name: provenance[name] for name in ("weights", "weights_hash")},
            "threshold": settings.threshold,
            "subpixel": settings.subpixel,
            **_switched_on(self.extractor),
        }

    def prepare(self, selection: Selection) -> Detect:
        lowered = _lowered(self.extractor)
        settings = dataclasses.replace(
            lowered.settings,
            nms_radius=selection.nms_radius,
            border=selection.border,
            max_keypoints=selection.max_keypoints,
        )
        extractor = lowered.with_settings(settings)
        return lambda image: extractor.extract(image).to("cpu")


def _switched_on(extractor: Extractor) -> MethodSettings:
    """What is said of an extractor that averages over sizes or weighs by cornerness, and of no other."""
    return {name: True for name in HEATMAP_SWITCHES if getattr(extractor, name)}


def _lowered(extractor: Extractor) -> Extractor:
    """The same extractor, down to the lowest score that counts in a comparison."""
    lowest = min(LOWEST_SCORE, extractor.settings.threshold)
    return extractor.with_settings(dataclasses.replace(extractor.settings, threshold=lowest))
