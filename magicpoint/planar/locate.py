"""Known planar things found by their keypoints: which template, where, how often."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import cv2
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
from .detect import QuadSettings
from .detector import QuadDetector
from .located import ENLARGED, Located, LocateSettings, corners_in_scene
from .polygons import polygon_iou, suppress_quads
from .verify.verifier import Verifier

TURNS = 4
LONGEST_SIDE, LARGEST_FACTOR = 640, 2.0
HALVINGS = 4
"""A template is known at the size at which its longer side has 640 pixels, or at twice its own, and at halves of it."""

FACED = (160, 1280)
"""Fewest and most pixels of the longer side of what is looked at again; between them, as many as in the scene."""

PROPOSED, AROUND = 2.0, 0.15
"""Proposals are looked at at twice their size, with so many sides around them: they are a little off."""

PROPOSING = QuadSettings(threshold=0.2, max_quads=20)
"""What is proposed: many are nothing, which costs a look at each, and is found to show no template."""

OBLONG = 1.5
"""How often a side goes into another one where it matters."""

KNOWN_IOU = 0.6
"""A proposal that overlaps a find by so much shows nothing new."""

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
        detector: Proposes quadrilaterals, each of which is looked at as if it faced the camera: so small and very
            oblique things are found as well. None takes the keypoints of the whole scene alone.
        verifier: Of the same templates: it says of what is found how probable it is, which changes nothing of what is.

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
        self,
        templates: Mapping[str, Image | Template],
        extractor: Extractor,
        settings: LocateSettings | None = None,
        detector: QuadDetector | None = None,
        verifier: Verifier | None = None,
    ) -> None:
        extractor.check_describes()
        if not templates:
            raise InputError("there is no template to find")
        self.settings = settings or LocateSettings()
        self.detector, self.verifier = detector, verifier
        best = dataclasses.replace(extractor.settings, max_keypoints=self.settings.most_compared)
        self.extractor = extractor.with_settings(best)
        self.templates = [
            known if isinstance(known, Template) else describe_template(name, known, self.extractor)
            for name, known in templates.items()
        ]
        unknown = {template.name for template in self.templates} - set(verifier.names if verifier else ())
        if verifier is not None and unknown:
            raise InputError(f"the verifier lacks the templates {', '.join(sorted(unknown))}")
        self._probes = torch.cat([template.probes for template in self.templates])

    @classmethod
    def from_pretrained(
        cls,
        templates: Mapping[str, Image],
        weights: str | os.PathLike[str] = "superpoint",
        settings: LocateSettings | None = None,
        device: torch.device | str | None = None,
        proposals: str | os.PathLike[str] | None = "quads",
        verifier: str | os.PathLike[str] | None = "verifier",
    ) -> Self:
        """With weights by their shipped name or path.

        Those of `proposals` are of a detector of quadrilaterals, and those of `verifier` of a verifier; None leaves one
        out.

        Raises:
            InputError: See `Extractor.load`, `QuadDetector.from_pretrained`, `Verifier.from_pretrained`, and the class.
        """
        detector = None if proposals is None else QuadDetector.from_pretrained(proposals, PROPOSING, device)
        judge = None if verifier is None else Verifier.from_pretrained(templates, verifier, device)
        return cls(templates, Extractor.load(weights, device=device), settings, detector, judge)

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
        found += self._proposed(opened.grey, found)
        found.sort(key=lambda located: -located.inliers)
        if len(found) > 1:
            corners, inliers = [located.corners for located in found], [located.inliers for located in found]
            found = [found[index] for index in suppress_quads(corners, inliers, self.settings.largest_iou)]
        return found if self.verifier is None else self.verifier.judge(opened, found)

    def _proposed(self, grey: NDArray[np.float32], known: Sequence[Located]) -> list[Located]:
        """What quadrilaterals of the detector show, but for those that are found already."""
        if self.detector is None:
            return []
        quads = self.detector.detect(grey).corners
        overlaps = polygon_iou(quads, np.array([each.corners for each in known]).reshape(-1, 4, 2))
        new = quads[overlaps.max(axis=1, initial=0.0) < KNOWN_IOU]
        return [located for corners in new for located in self._shown(corners, grey)]

    def _shown(self, corners: NDArray[np.float32], grey: NDArray[np.float32]) -> list[Located]:
        """The templates that a quadrilateral (4, 2) of a scene shows, as the first view in which there are any says."""
        for H_scene_to_crop, size in facing(corners):
            seen, found = self._seen(grey, H_scene_to_crop, size), []
            for template, turn in self._likely(seen):
                once = self._once(template, template.turned[turn], seen)
                placed = None if once is None else _in_scene(once, template, H_scene_to_crop, grey)
                if placed is not None:
                    found.append(self._refined(template, placed, grey))
            if found:
                return found
        return []

    def _seen(self, grey: NDArray[np.float32], H_scene_to_crop: NDArray[np.float64], size: tuple[int, int]) -> Features:
        """The features of a crop (W, H) of a scene."""
        return self.extractor.extract(np.clip(warp_image(grey, H_scene_to_crop, size), 0.0, 1.0)).to("cpu")

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
        again = self._once(template, template.turned[0], self._seen(grey, H_scene_to_crop, (width, height)))
        if again is None or again.inliers < located.inliers:
            return located
        return _in_scene(again, template, H_scene_to_crop, grey) or located

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


def _in_scene(
    located: Located, template: Template, H_scene_to_crop: NDArray[np.float64], grey: NDArray[np.float32]
) -> Located | None:
    """What was found in a crop as it lies in the scene; None where no camera sees it so."""
    H = inverse_homography(H_scene_to_crop) @ located.H_template_to_scene
    corners = corners_in_scene(H, template.image_size, grey.shape[::-1])
    if corners is None:
        return None
    return dataclasses.replace(located, corners=corners.astype(np.float32), H_template_to_scene=H / H[2, 2])


def facing(corners: NDArray[np.float32]) -> list[tuple[NDArray[np.float64], tuple[int, int]]]:
    """Views of a quadrilateral (4, 2) of a scene, clockwise, and of a little around it, as if it faced the camera.

    It tells how long its sides look and not how long they are: the views are of sides as long as they look, unless that
    is nearly a square, and of a square, in which most things that are seen very obliquely are less distorted.

    Returns:
        For each view the homography from the scene to it, and its size (W, H).
    """
    lengths = np.hypot(*(np.roll(corners, -1, axis=0) - corners).T)
    looks = np.array([max(lengths[0], lengths[2]), max(lengths[1], lengths[3])])
    longest = float(np.clip(PROPOSED * looks.max(), *FACED))
    forms = [np.ones(2)] if looks.max() < OBLONG * looks.min() else [looks / looks.max(), np.ones(2)]
    views = []
    for form in forms:
        sides = np.maximum(longest * form, CELL_SIZE)
        width, height = np.rint((1 + 2 * AROUND) * sides).astype(int).tolist()
        square = (np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) + AROUND) * sides - 0.5
        H = cv2.getPerspectiveTransform(corners.astype(np.float32), square.astype(np.float32))
        views.append((np.asarray(H, np.float64), (width, height)))
    return views


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
