"""Each scene four times, as it is, mirrored, upside down and both: to render one takes as long as to learn from it."""

from __future__ import annotations

import numpy as np

from synthetic_shapes.seeding import sample_generator

from .scenes import Scene, SceneStream

VIEWS = 4

_GROUP = 16  # scenes that are shown one after the other before they come again, so that a batch has none twice


class SceneViews:
    """View number `index` of the scenes of a stream, the same whatever was drawn before, by whichever process.

    Args:
        stream: Of scenes.
        seed: Decides the light of each view.
    """

    def __init__(self, stream: SceneStream, seed: int) -> None:
        self._stream, self._seed = stream, seed
        self._kept: dict[int, Scene] = {}

    def __getitem__(self, index: int) -> Scene:
        turn, group = divmod(index, _GROUP)
        group += turn // VIEWS * _GROUP
        scene = turned(self._rendered(group), turn % VIEWS)
        return self._stream.relit(scene, sample_generator(self._seed, "scene views", index))

    def _rendered(self, number: int) -> Scene:
        if number not in self._kept:
            while len(self._kept) >= _GROUP:
                self._kept.pop(next(iter(self._kept)))
            self._kept[number] = self._stream.rendered(number)
        return self._kept[number]


def turned(scene: Scene, number: int) -> Scene:
    """A scene as it is (0), upside down (1), mirrored (2), and mirrored upside down (3).

    A mirrored scene shows mirrored templates: the top-left corner of each is what was its top-right one.
    """
    height, width = scene.image.shape
    image, corners = scene.image, scene.corners
    if number % 2:
        image, corners = image[::-1, ::-1], np.array([width - 1, height - 1], np.float32) - corners
    if number // 2:
        image = image[:, ::-1]
        corners = (np.array([width - 1, 0], np.float32) + np.array([-1, 1], np.float32) * corners)[:, [1, 0, 3, 2]]
    return Scene(np.ascontiguousarray(image), corners.astype(np.float32), scene.visible, scene.templates)
