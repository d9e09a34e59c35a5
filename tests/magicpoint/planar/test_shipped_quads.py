"""The weights of the detector of quadrilaterals that ship find what they are for."""

from pathlib import Path

import numpy as np

from magicpoint import QuadDetector, QuadSettings
from magicpoint.model.weights import planar_names
from magicpoint.planar.pictures import Pictures
from magicpoint.planar.scenes import SceneSettings, SceneStream
from magicpoint.planar.scoring import look_at, score_quads
from magicpoint.planar.validation import counts_in


def test_they_find_a_photograph_that_they_did_not_learn():
    """It hangs before drawn walls, partly hidden, seen at up to 52 degrees; on a plain wall nothing is found."""
    assert "quads" in planar_names()
    detector = QuadDetector.from_pretrained("quads", QuadSettings(threshold=0.02))
    photographs = Pictures((), [Path(__file__).parents[3] / "notebooks" / "images" / "cameraman.png"])
    stream = SceneStream(photographs, seed=11, settings=SceneSettings(tilt=0.9))
    scenes = [stream[index] for index in range(24)]
    found = [detector.detect(scene.image) for scene in scenes]
    outcomes = [look_at(quads, s) for quads, s in zip(found, scenes, strict=True)]
    scores = score_quads(outcomes, [counts_in(scene) for scene in scenes], 0.3)
    assert scores.truth_count >= 30
    assert scores.ap_50 > 0.75
    assert len(QuadDetector.from_pretrained("quads").detect(np.full((240, 320), 90, np.uint8))) == 0
