"""Networks as compared methods."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...inference.extractor import Extractor
from ...measures.detection import LOWEST_SCORE
from .for_shapes import Found
from .selection import Detect, Selection


@dataclass(frozen=True)
class NetworkDetector:
    """A network as a detector that also gives what lies below its threshold, for the tail of the curve."""

    name: str
    extractor: Extractor

    @classmethod
    def below_threshold(cls, name: str, extractor: Extractor) -> NetworkDetector:
        """The same extractor, down to a score of ``measures.detection.LOWEST_SCORE``."""
        lowest = min(LOWEST_SCORE, extractor.settings.threshold)
        settings = dataclasses.replace(extractor.settings, threshold=lowest)
        return cls(name, extractor.with_settings(settings))

    def settings(self) -> dict[str, Any]:
        return dataclasses.asdict(self.extractor.settings)

    def detect(self, images: Sequence[NDArray[np.uint8]]) -> list[Found]:
        found = self.extractor.extract_batch(images)
        return [(features.keypoints.cpu().numpy(), features.keypoint_scores.cpu().numpy()) for features in found]


@dataclass(frozen=True)
class Network:
    """A network, by its extractor's settings but for the selection and the threshold.

    The threshold is lowered to `measures.detection.LOWEST_SCORE`, so that the number of keypoints decides what counts
    and not where the network's scores happen to lie.
    """

    extractor: Extractor

    @property
    def has_descriptors(self) -> bool:
        return self.extractor.model.settings.descriptor_dim > 0

    def settings(self) -> dict[str, Any]:
        names = ("weights", "weights_hash")
        return {
            **{name: self.extractor.provenance[name] for name in names},
            "threshold": min(LOWEST_SCORE, self.extractor.settings.threshold),
            "subpixel": self.extractor.settings.subpixel,
        }

    def prepare(self, selection: Selection) -> Detect:
        settings = dataclasses.replace(
            self.extractor.settings,
            nms_radius=selection.nms_radius,
            border=selection.border,
            max_keypoints=selection.max_keypoints,
            threshold=min(LOWEST_SCORE, self.extractor.settings.threshold),
        )
        extractor = self.extractor.with_settings(settings)
        return lambda image: extractor.extract(image).to("cpu")
