"""Two views of a random room, each in a light of its own: what training learns from where there is depth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..photometric import PhotometricSettings, augment_photometric
from ..samples import TrainingSample
from .interior import InteriorSettings, draw_view_pair
from .render import RenderedView


def make_room_views(
    pictures: Sequence[NDArray[np.uint8]],
    room: InteriorSettings,
    photometric: PhotometricSettings,
    rng: np.random.Generator,
) -> tuple[tuple[TrainingSample, RenderedView], tuple[TrainingSample, RenderedView]]:
    """Draws a room and renders two views of it.

    Args:
        pictures: uint8 (h, w), for its walls and things; at least one.
        room: Of the room and its cameras.
        photometric: The changes of light, lens, sensor and file.
        rng: Decides everything.

    Returns:
        Of each view what a camera takes, without keypoints, and what is known of it. Invalid is what shows nothing.

    Raises:
        RuntimeError: No two such views were found, which only settings that contradict each other bring about.
    """
    view0, view1 = (_in_a_light(view, photometric, rng) for view in draw_view_pair(pictures, rng, room))
    return view0, view1


def _in_a_light(
    view: RenderedView, photometric: PhotometricSettings, rng: np.random.Generator
) -> tuple[TrainingSample, RenderedView]:
    image = augment_photometric(view.image, photometric, rng)
    nothing = np.zeros((0, 2), np.float32)
    return TrainingSample(image, nothing, nothing[:, 0], view.surface >= 0), view
