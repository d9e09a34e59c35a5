"""Known planar things found by their keypoints: which template, where, how often."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from homography import warp_image
from homography.warp import inverse_homography, resizing

from ..core.errors import InputError
from ..core.grid import CELL_SIZE
from ..core.types import Features
from ..inference.extractor import Extractor
from ..io.images import Image, open_image
from ..matching.homography import estimate_homography
from ..matching.nearest import match_features
from .choice import best_of_each_place, best_of_each_template, is_found
from .detect import QuadSettings
from .detector import QuadDetector
from .facing import FACED, facing, overlay
from .located import ENLARGED, Located, LocateSettings, corners_in_scene
from .polygons import polygon_iou
from .templates import Template, check_templates, describe_template
from .verify.verifier import Verifier
from .votes import Votes

PROPOSING = QuadSettings(threshold=0.2, max_quads=20)
"""What is proposed: many are nothing, which costs a look at each, and is found to show no template."""

FEWEST = 7
"""So many matches that agree are worth the look of a verifier; fewer agree by chance in most places."""

LEAST_PROBABLE = 0.3
"""What a verifier gives less than this, its corners being rough, was not right on any of 52 scenes."""

KNOWN_IOU = 0.6
"""A proposal that overlaps a find by so much shows nothing new."""


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
        verifier: Of the same templates: it says of what is found how probable it is, decides between candidates in the
            same place, and recognises what has too few keypoints among what is proposed; see `choice`.

    Raises:
        InputError: There is no template, or the network gives no descriptors.
        TypeError: The templates are not given by name.

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
        check_templates(templates)
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
        self._by_name = {template.name: template for template in self.templates}
        self._votes = Votes(self.templates)

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
            TypeError: See the class.
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
        found = [each for each in self.candidates(image) if is_found(each, self.settings)]
        return sorted(best_of_each_place(found, self.settings), key=lambda located: -located.inliers)

    def candidates(self, image: Image) -> list[Located]:
        """What may be a find, before it is decided what is; arguments and errors are those of `locate`."""
        opened = open_image(image, self.extractor.reading)
        grey = opened.grey
        is_small = self.settings.enlarge and max(grey.shape) <= ENLARGED
        extractor = self.extractor.at_scales((*self.extractor.scales, 2.0)) if is_small else self.extractor
        scene = extractor.extract(opened).to("cpu")
        seen = [
            each
            for template, turn in self._votes.likely(scene, self.templates)
            for each in self._instances(template, turn, scene)
        ]
        found = self._looked_at_again(seen, grey)
        return self._judged(grey, [*found, *self._proposed(grey, found)])

    def _looked_at_again(self, seen: Sequence[Located], grey: NDArray[np.float32]) -> list[Located]:
        """What matches gave, better placed: each thing once, by its keypoints or, where few agree, its grey values."""
        found = []
        for each in best_of_each_template(self._judged(grey, seen), self.settings):
            if each.inliers >= self.settings.least_inliers:
                found.append(self._refined(each, grey))
            elif each.probability is not None and each.probability >= LEAST_PROBABLE:
                found += self._laid(each.template, each.corners, grey, each)
        return found

    def _judged(self, grey: NDArray[np.float32], found: Sequence[Located]) -> list[Located]:
        return list(found) if self.verifier is None else self.verifier.judge(grey, found)

    def _proposed(self, grey: NDArray[np.float32], known: Sequence[Located]) -> list[Located]:
        """What quadrilaterals of the detector show, but for those that are found already."""
        if self.detector is None:
            return []
        quads = self.detector.detect(grey).corners
        overlaps = polygon_iou(quads, np.array([each.corners for each in known]).reshape(-1, 4, 2))
        new = quads[overlaps.max(axis=1, initial=0.0) < KNOWN_IOU]
        if self.verifier is None:
            return [located for corners in new for located in self._shown(corners, grey, self.templates)]
        said, names = self.verifier.recognise(grey, new), self.verifier.names
        found = self._judged(grey, self._recognised(new, said, names, grey))
        sure = [each.corners for each in found if is_found(each, self.settings)]
        left = polygon_iou(new, np.array(sure).reshape(-1, 4, 2)).max(axis=1, initial=0.0) < KNOWN_IOU
        for number in np.flatnonzero(left):
            # What the verifier did not even judge is nothing like it: so the looks do not grow with the templates.
            like_it = {names[int(column)] for column in np.flatnonzero(said[number].max(axis=0) > 0)}
            found += self._shown(new[number], grey, [each for each in self.templates if each.name in like_it])
        return found

    def _recognised(
        self, quads: NDArray[np.float32], said: NDArray[np.float32], names: Sequence[str], grey: NDArray[np.float32]
    ) -> list[Located]:
        """The templates that are seen under quadrilaterals (N, 4, 2), by what `Verifier.recognise` says of them."""
        found = []
        for corners, of_quad in zip(quads, said, strict=True):
            order, number = np.unravel_index(int(of_quad.argmax()), of_quad.shape)
            if of_quad[order, number] >= LEAST_PROBABLE:
                found += self._laid(names[int(number)], np.roll(corners, -int(order), axis=0), grey)
        return found

    def _laid(
        self, name: str, corners: NDArray[np.float32], grey: NDArray[np.float32], known: Located | None = None
    ) -> list[Located]:
        """A template laid by its grey values over a quadrilateral (4, 2), where they fit; with the matches known."""
        template = self._by_name.get(name)
        laid = None if template is None else overlay(template.picture, template.image_size, grey, corners)
        if template is None or laid is None:
            return []
        H, size = laid.H_template_to_scene, (grey.shape[1], grey.shape[0])
        placed = corners_in_scene(H, template.image_size, size)
        if placed is None:
            return []
        matches, inliers = (known.matches, known.inliers) if known is not None else (0, 0)
        corners = placed.astype(np.float32)
        return [Located(name, corners, H, matches, inliers, correlation=laid.correlation)]

    def _shown(
        self, corners: NDArray[np.float32], grey: NDArray[np.float32], among: Sequence[Template]
    ) -> list[Located]:
        """Which of some templates a quadrilateral (4, 2) of a scene shows, as the first view with any of them says."""
        for H_scene_to_crop, size in facing(corners):
            features, seen = self._seen(grey, H_scene_to_crop, size), []
            for template, turn in self._votes.likely(features, among):
                once = self._once(template, template.turned[turn], features)
                placed = None if once is None else _in_scene(once, template, H_scene_to_crop, grey)
                seen += [] if placed is None else [placed]
            if found := self._looked_at_again(seen, grey):
                return found
        return []

    def _seen(self, grey: NDArray[np.float32], H_scene_to_crop: NDArray[np.float64], size: tuple[int, int]) -> Features:
        """The features of a crop (W, H) of a scene."""
        return self.extractor.extract(np.clip(warp_image(grey, H_scene_to_crop, size), 0.0, 1.0)).to("cpu")

    def _instances(self, template: Template, turn: int, scene: Features) -> list[Located]:
        """A template in one turn, again and again in what is left of the scene."""
        features, found = template.turned[turn], []
        for _ in range(self.settings.max_instances):
            located = self._once(template, features, scene)
            if located is None:
                break
            found.append(located)
            if located.inliers < self.settings.least_inliers:
                break  # what agrees even less is by chance
            scene = _without(scene, located.corners)
        return found

    def _refined(self, located: Located, grey: NDArray[np.float32]) -> Located:
        """The same after a look at the scene as if the template faced the camera; unless less agrees than before."""
        template = self._by_name[located.template]
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
        fewest = self.settings.least_inliers if self.verifier is None else min(FEWEST, self.settings.least_inliers)
        matched = features.keypoints[index0], scene.keypoints[index1]
        estimate = estimate_homography(*matched, self.settings.pixels, fewest)
        if estimate is None:
            return None
        inliers = int(estimate.inliers.sum())
        corners = corners_in_scene(estimate.H_0to1, template.image_size, scene.image_size)
        if corners is None:
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
