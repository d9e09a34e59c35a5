"""The measures by which training of the detector of quadrilaterals judges itself, on scenes that it never trains on."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch

from .batches import collate_scenes
from .detect import QuadSettings, detect_quads
from .model import QuadNetwork
from .scenes import Scene, SceneStream
from .scoring import LEAST_VISIBLE, look_at, score_quads, shorter_sides

SCENES = 32
BATCH_SIZE = 8

LOWEST_SCORE = 0.02
"""What is found from here on enters the curves, whose tail lies below the detector's threshold."""

SMALLEST_SIDE = 24.0
"""The shorter side in pixels of templates that count."""


def counts_in(scene: Scene) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which templates of a scene are large enough and visible enough to count, bool (N,)."""
    return np.asarray((shorter_sides(scene.corners) >= SMALLEST_SIDE) & (scene.visible >= LEAST_VISIBLE))


class SceneValidator:
    """Measures a detector on the same scenes each time, rendered when they are first needed."""

    def __init__(self, stream: SceneStream, least_visible: float) -> None:
        """The first scenes of the stream are taken; templates of a smaller visible share are no objects in them."""
        self._stream, self._least_visible = stream, least_visible

    @cached_property
    def _scenes(self) -> list[Scene]:
        return [self._stream[index] for index in range(SCENES)]

    def measure(self, network: QuadNetwork, device: torch.device) -> dict[str, float]:
        """Runs the network in evaluation mode, and leaves it in the mode in which it was.

        As many proposals are looked at as in training.

        Returns:
            The measures of `scoring.QuadScores` but for the number of templates.
        """
        training = network.training
        network.eval()
        settings = QuadSettings(threshold=LOWEST_SCORE, proposals=network.settings.proposals)
        try:
            found = []
            for start in range(0, SCENES, BATCH_SIZE):
                batch = collate_scenes(self._scenes[start : start + BATCH_SIZE], self._least_visible).to(device)
                found += detect_quads(network, batch.image.contiguous(memory_format=torch.channels_last), settings)
        finally:
            network.train(training)
        outcomes = [look_at(quads, scene) for quads, scene in zip(found, self._scenes, strict=True)]
        scores = score_quads(outcomes, [counts_in(scene) for scene in self._scenes], QuadSettings().threshold)
        return {name: float(value) for name, value in vars(scores).items() if name != "truth_count"}
