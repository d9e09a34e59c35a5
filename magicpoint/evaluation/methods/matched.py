"""A compared method whose keypoints are matched in a way of its own."""

from __future__ import annotations

import json
from dataclasses import dataclass

from ...matching.nearest import Matching, provenance_of
from .base import Detect, MethodSettings, PairsMethod, Selection


@dataclass(frozen=True)
class MatchedBy:
    """The keypoints of a method, matched in this way.

    Args:
        method: Several can have it: its keypoints are found once for all of them.
        matching: In place of mutual nearest neighbours.
    """

    method: PairsMethod
    matching: Matching

    @property
    def has_descriptors(self) -> bool:
        return self.method.has_descriptors

    def settings(self) -> MethodSettings:
        return {**self.method.settings(), "matching": json.dumps(provenance_of(self.matching))}

    def prepare(self, selection: Selection) -> Detect:
        return self.method.prepare(selection)


def matching_of(method: PairsMethod) -> Matching | None:
    """How a method's keypoints are matched; None: by mutual nearest neighbours."""
    return method.matching if isinstance(method, MatchedBy) else None


def finder_of(method: PairsMethod) -> PairsMethod:
    """The method that finds the keypoints."""
    return method.method if isinstance(method, MatchedBy) else method
