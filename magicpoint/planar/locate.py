"""Known planar things found by their keypoints: which template, where, how often."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from homography import warp_image
from homography.warp import inverse_homography, resizing

from ..core.errors import InputError
from ..core.grid import CELL_SIZE
from ..core.types import Features
from ..inference.extractor import Extractor
from ..inference.turns import extract_turned
from ..io.images import Image, open_image
from ..matching.homography import estimate_homography
from ..matching.nearest import match_features
from .located import ENLARGED, Located, LocateSettings, corners_in_scene
from .polygons import suppress_quads

TURNS = 4
LONGEST_SIDE, LARGEST_FACTOR = 640, 2.0
HALVINGS = 4
"""A template is known at the size at which its longer side has 640 pixels, or at twice its own, and at halves of it."""

FACED = (160, 1280)
"""Fewest and most pixels of the longer side of what is looked at again; between them, as many as in the scene."""

PROBES = 32
"""Of each turn and size of a template so many of its best keypoints are compared with the scene to see whether it is
worth a closer look, and in which turn.
"""

SIMILAR = 0.7
"""Cosine of descriptors from which a pair of nearest neighbours speaks for a template."""

LEAST_PROBES = 3
"""So many pairs at one size get a turn a closer look. Seven templates in scenes of 640x480 had 4 to 31 of 32 where they
were 120 or 300 pixels long and turned by 10 or 15 degrees; other templates had 0 to 2, and now and then up to 5.
"""


@dataclass(frozen=True, eq=False)
class Template:
    """What is known of a planar thing.

    Args:
        name: Under which it is found.
        image_size: (W, H) of its picture.
        turned: Its features in each of the four quarter turns, on the CPU, with positions in the picture as it is.
        probes: (TURNS HALVINGS PROBES, D), the descriptors of the best keypoints of each turn at each size, zeros where
            there are fewer.
    """

    name: str
    image_size: tuple[int, int]
    turned: tuple[Features, ...]
    probes: Tensor


class Locator:
    """Finds templates in scenes.

    A template is found at any angle where enough of its corners can be told apart, which begins at about 60 to 100
    pixels of its longer side in the scene. Its features are computed once. What is found is looked at once more, as if
    it faced the camera, and placed by what matches then.

    Args:
        templates: By name pictures, as for `Extractor.extract`, or what `describe_template` made of them.
        extractor: Of the scenes, with descriptors; how many keypoints it keeps is for the settings to say. The same
            network sees the templates, at several scales.
        settings: None stands for `LocateSettings()`.

    Raises:
        InputError: There is no template, or the network gives no descriptors.

    Examples:
        >>> card = np.zeros((120, 160), np.uint8)
        >>> card[30:90:12, 20:140] = 255
        >>> locator = Locator.from_pretrained({"card": card}, "superpoint-tiny")
        >>> locator.locate(np.zeros((240, 320), np.uint8))
        []
    """

    def __init__(
        self, templates: Mapping[str, Image | Template], extractor: Extractor, settings: LocateSettings | None = None
    ) -> None:
        extractor.check_describes()
        if not templates:
            raise InputError("there is no template to find")
        self.settings = settings or LocateSettings()
        best = dataclasses.replace(extractor.settings, max_keypoints=self.settings.most_compared)
        self.extractor = extractor.with_settings(best)
        self.templates = [
            known if isinstance(known, Template) else describe_template(name, known, self.extractor)
            for name, known in templates.items()
        ]
        self._probes = torch.cat([template.probes for template in self.templates])

    @classmethod
    def from_pretrained(
        cls,
        templates: Mapping[str, Image],
        weights: str | os.PathLike[str] = "superpoint",
        settings: LocateSettings | None = None,
        device: torch.device | str | None = None,
    ) -> Self:
        """With weights by their shipped name or path.

        Raises:
            InputError: See `Extractor.load`, and the class.
        """
        return cls(templates, Extractor.load(weights, device=device), settings)

    def locate(self, image: Image) -> list[Located]:
        """The templates that a scene shows, those with most inliers first; none is an ordinary answer.

        Args:
            image: As for `Extractor.extract`.

        Raises:
            OSError: See `Extractor.extract`, as for what follows.
            TypeError: As there.
            ValueError: As there.
        """
        opened = open_image(image, self.extractor.reading)
        is_small = self.settings.enlarge and max(opened.grey.shape) <= ENLARGED
        extractor = self.extractor.at_scales((*self.extractor.scales, 2.0)) if is_small else self.extractor
        scene = extractor.extract(opened).to("cpu")
        found = [
            self._refined(template, located, opened.grey)
            for template, turn in self._likely(scene)
            for located in self._instances(template, turn, scene)
        ]
        found.sort(key=lambda located: -located.inliers)
        if len(found) < 2:
            return found
        corners, inliers = [located.corners for located in found], [located.inliers for located in found]
        return [found[index] for index in suppress_quads(corners, inliers, self.settings.largest_iou)]

    def _likely(self, scene: Features) -> list[tuple[Template, int]]:
        """The templates that are worth a closer look, each in its most likely turns."""
        if not len(scene):
            return []
        assert scene.descriptors is not None
        similarity = self._probes @ scene.descriptors.T
        near = (similarity.amax(dim=1) >= SIMILAR).view(len(self.templates), TURNS, HALVINGS, PROBES)
        most = near.sum(dim=3).amax(dim=2)
        return [
            (template, turn)
            for template, votes in zip(self.templates, most.tolist(), strict=True)
            for turn, count in enumerate(votes)
            if count >= LEAST_PROBES and 2 * count >= max(votes)
        ]

    def _instances(self, template: Template, turn: int, scene: Features) -> list[Located]:
        """A template in one turn, again and again in what is left of the scene."""
        features, found = template.turned[turn], []
        for _ in range(self.settings.max_instances):
            located = self._once(template, features, scene)
            if located is None:
                break
            found.append(located)
            scene = _without(scene, located.corners)
        return found

    def _refined(self, template: Template, located: Located, grey: NDArray[np.float32]) -> Located:
        """The same after a look at the scene as if the template faced the camera; unless less agrees than before."""
        longest = np.hypot(*(np.roll(located.corners, -1, axis=0) - located.corners).T).max()
        factor = float(np.clip(longest, *FACED)) / max(template.image_size)
        width, height = (max(CELL_SIZE, round(side * factor)) for side in template.image_size)
        H_scene_to_crop = resizing(template.image_size, (width, height)) @ inverse_homography(
            located.H_template_to_scene
        )
        crop = warp_image(grey, H_scene_to_crop, (width, height))
        seen = self.extractor.extract(np.clip(crop, 0.0, 1.0)).to("cpu")
        again = self._once(template, template.turned[0], seen)
        if again is None or again.inliers < located.inliers:
            return located
        H = inverse_homography(H_scene_to_crop) @ again.H_template_to_scene
        corners = corners_in_scene(H, template.image_size, grey.shape[::-1])
        if corners is None:
            return located
        return Located(template.name, corners.astype(np.float32), H / H[2, 2], again.matches, again.inliers)

    def _once(self, template: Template, features: Features, scene: Features) -> Located | None:
        index0, index1 = match_features(features, scene).matches01.T
        if len(index0) < self.settings.least_inliers:
            return None
        estimate = estimate_homography(features.keypoints[index0], scene.keypoints[index1], self.settings.pixels)
        if estimate is None:
            return None
        inliers = int(estimate.inliers.sum())
        corners = corners_in_scene(estimate.H_0to1, template.image_size, scene.image_size)
        if corners is None or inliers < self.settings.least_inliers:
            return None
        return Located(template.name, corners.astype(np.float32), estimate.H_0to1, len(index0), inliers)


def describe_template(name: str, image: Image, extractor: Extractor) -> Template:
    """What a `Locator` has to know of a template, to be shared by several.

    Args:
        name: Under which it is found.
        image: As for `Extractor.extract`.
        extractor: The scenes' own, or the same network with as many keypoints.

    Raises:
        OSError: See `Extractor.extract`, as for what follows.
        TypeError: As there.
        ValueError: As there.
    """
    opened = open_image(image, extractor.reading)
    height, width = opened.grey.shape
    largest = min(LONGEST_SIDE / max(width, height), LARGEST_FACTOR)
    scales = [largest / 2**halving for halving in range(HALVINGS)]
    seen = extractor.at_scales(scales)
    turned = tuple(extract_turned(seen, opened, turn).to("cpu") for turn in range(TURNS))
    probes = torch.cat([_best(features, scale) for features in turned for scale in scales])
    return Template(name, (width, height), turned, probes)


def _best(features: Features, scale: float) -> Tensor:
    """The descriptors of the best `PROBES` keypoints that were found at a scale, zeros behind them."""
    assert features.descriptors is not None
    assert features.keypoint_scales is not None
    of_scale = features.descriptors[(features.keypoint_scales * scale).log2().abs() < 0.5][:PROBES]
    return torch.nn.functional.pad(of_scale, (0, 0, 0, PROBES - len(of_scale)))


def _without(scene: Features, corners: Sequence[Sequence[float]] | np.ndarray) -> Features:
    """The features of a scene outside a convex quadrilateral (4, 2), clockwise as it is seen."""
    starts = torch.as_tensor(np.asarray(corners, np.float32))
    sides = starts.roll(-1, dims=0) - starts
    offsets = scene.keypoints[:, None] - starts
    inside = (sides[:, 0] * offsets[..., 1] - sides[:, 1] * offsets[..., 0] >= 0).all(dim=1)
    assert scene.descriptors is not None
    kept = ~inside
    return Features(
        scene.keypoints[kept],
        scene.keypoint_scores[kept],
        scene.descriptors[kept],
        scene.image_size,
        provenance=scene.provenance,
    )
