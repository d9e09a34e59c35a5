"""Scenes of planar things: methods measured on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..core.errors import InputError
from ..core.files import AnyPath
from ..evaluation.outputs import claimed_report
from ..inference.extractor import Extractor
from ..model.weights import weights_hash
from ..planar.detect import QuadSettings
from ..planar.detector import QuadDetector
from ..planar.evaluation import ScenesEvaluation, ScenesProtocol, evaluate_on_scenes
from ..planar.methods import ByLocator, SceneMethod, by_network, by_points, by_sift, contours
from ..planar.pictures import Pictures
from ..planar.scenes import draw_boards
from ..planar.validation import LOWEST_SCORE
from .scenes_report import BEGINS, PICTURES, write_scenes_report

SCENE_METHODS = ("contours", "sift", "superpoint-small", "locate")
"""What the detector is compared with: superpoint-small are the keypoints of these weights matched once, locate is
`planar.locate.Locator` with the same weights.
"""

BOARDS = 32
"""Drawn where no templates are given; others than those of training."""

_SEED_OF_BOARDS = 1


def evaluate_scenes(
    weights: AnyPath,
    out: AnyPath | None = None,
    templates: Sequence[AnyPath] = (),
    backgrounds: Sequence[AnyPath] = (),
    methods: Sequence[str] = SCENE_METHODS,
    protocol: ScenesProtocol | None = None,
    progress: bool = True,
) -> ScenesEvaluation:
    """Evaluates a detector of quadrilaterals and other methods on rendered scenes, and writes it all to a folder.

    Args:
        weights: A shipped name, a weights file or a run's folder.
        out: Folder for `scenes.json`, `scenes.txt` (the tables) pictures of hits, misses and false alarms,
            and one of what training sees; None
            writes nothing.
        templates: Images of what is to be found, and folders of such; without any, boards are drawn.
        backgrounds: Images, and folders of such; without any, textures are drawn.
        methods: Of `SCENE_METHODS`.
        protocol: None stands for `ScenesProtocol()`.
        progress: Show a progress bar on the standard error.

    Raises:
        OSError: A file cannot be read or written.
        InputError: There are no such weights or images, one is damaged, a method is unknown, or something else than a
            report on this network is in the folder; it is named.
    """
    unknown = [name for name in methods if name not in SCENE_METHODS]
    if unknown:
        raise InputError(f"unknown methods {unknown}: choose from {', '.join(SCENE_METHODS)}")
    protocol = protocol or ScenesProtocol()
    sure = QuadSettings().threshold
    detector = QuadDetector.from_pretrained(weights, QuadSettings(threshold=LOWEST_SCORE))
    things = Pictures(() if templates else draw_boards(BOARDS, _SEED_OF_BOARDS), templates)
    walls = Pictures((), backgrounds)
    compared: dict[str, SceneMethod] = {detector.weights: by_network(detector)}
    makers: dict[str, Callable[[], SceneMethod]] = {
        "contours": lambda: contours,
        "sift": lambda: by_sift(things),
        "superpoint-small": lambda: by_points(things, Extractor.load("superpoint-small")),
        "locate": lambda: ByLocator(things, Extractor.load("superpoint-small")),
    }
    compared |= {name: makers[name]() for name in methods}
    digest = weights_hash(detector.network.state_dict())
    has = ("templates", "results")
    with claimed_report(out, "scenes", PICTURES, BEGINS, has, {digest}):
        options = {detector.weights: sure}
        evaluation = evaluate_on_scenes(things, walls, compared, protocol, options, digest, progress)
        if out is not None:
            write_scenes_report(evaluation, out, things, walls, detector, sure)
    return evaluation
