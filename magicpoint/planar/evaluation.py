"""The detector and other methods on the same scenes: over all, and by size, by how obliquely things are seen, by how
much of them is seen."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ..core.settings import LARGEST_SEED, check_kinds, check_whole
from .detect import Quads
from .frames import UNIT_SQUARE
from .methods import Picture, SceneMethod
from .scenes import Scene, SceneSettings, SceneStream
from .scoring import LEAST_VISIBLE, QuadScores, SceneOutcome, look_at, score_quads, shorter_sides
from .validation import SMALLEST_SIDE

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class ScenesProtocol:
    """How methods are measured on scenes.

    Args:
        count: Number of scenes.
        seed: Of the scenes.
        scenes: How they are made.
    """

    count: int = 200
    seed: int = 0
    scenes: SceneSettings = field(default_factory=SceneSettings)

    def __post_init__(self) -> None:
        check_kinds(self)
        check_whole(self, 1, "count")
        check_whole(self, 0, "seed", most=LARGEST_SEED)


@dataclass(frozen=True, eq=False)
class TrueQuads:
    """What tells one true quadrilateral of a scene from another, each (M,).

    Args:
        side: The shorter side in pixels.
        angle: Between the line of sight and the normal of the template, in degrees: how obliquely it is seen.
        visible: The share that is seen.
    """

    side: NDArray[np.float64]
    angle: NDArray[np.float64]
    visible: NDArray[np.float32]


GROUPS: dict[str, Callable[[TrueQuads], Flags]] = {
    "all that count": lambda true: (true.side >= SMALLEST_SIDE) & (true.visible >= LEAST_VISIBLE),
    "side below 24 px": lambda true: (true.side < SMALLEST_SIDE) & (true.visible >= LEAST_VISIBLE),
    "side 24 to 48 px": lambda true: (true.side >= 24) & (true.side < 48) & (true.visible >= LEAST_VISIBLE),
    "side from 48 px": lambda true: (true.side >= 48) & (true.visible >= LEAST_VISIBLE),
    "seen at 0 to 30°": lambda true: _counting(true) & (true.angle < 30),
    "seen at 30 to 55°": lambda true: _counting(true) & (true.angle >= 30) & (true.angle < 55),
    "seen from 55°": lambda true: _counting(true) & (true.angle >= 55),
    "visible 0.3 to 0.7": lambda true: (true.side >= SMALLEST_SIDE) & (true.visible >= 0.3) & (true.visible < 0.7),
    "visible 0.7 to 0.95": lambda true: _counting(true) & (true.visible < 0.95),
    "visible from 0.95": lambda true: _counting(true) & (true.visible >= 0.95),
}
"""Which of the true quadrilaterals count in a group; false alarms count in each."""


def _counting(true: TrueQuads) -> Flags:
    return (true.side >= SMALLEST_SIDE) & (true.visible >= LEAST_VISIBLE)


@dataclass(frozen=True)
class SceneMethodResult:
    """What a method came to.

    Args:
        groups: Its measures by the name of the group, the first of all that count.
        milliseconds: Mean time of a scene.
    """

    groups: Mapping[str, QuadScores]
    milliseconds: float


@dataclass(frozen=True)
class ScenesEvaluation:
    """Methods on the same scenes.

    Args:
        protocol: What was measured.
        templates: Number of templates that the scenes are made of.
        backgrounds: Number of backgrounds; 0 where they are drawn.
        weights_hash: Of the detector.
        results: By method.
    """

    protocol: ScenesProtocol
    templates: int
    backgrounds: int
    weights_hash: str
    results: Mapping[str, SceneMethodResult]


def evaluate_on_scenes(
    templates: Sequence[Picture],
    backgrounds: Sequence[Picture],
    methods: Mapping[str, SceneMethod],
    protocol: ScenesProtocol,
    thresholds: Mapping[str, float],
    weights_hash: str = "",
    progress: bool = True,
) -> ScenesEvaluation:
    """Runs each method on each scene.

    Args:
        templates: Of the scenes.
        backgrounds: Of the scenes; none draws textures.
        methods: By name.
        protocol: What is measured.
        thresholds: By method the score from which on its quadrilaterals are counted as found; 0 where it is missing.
        weights_hash: Of the detector among them.
        progress: Show a progress bar on the standard error.
    """
    true: list[TrueQuads] = []
    outcomes: dict[str, list[SceneOutcome]] = {name: [] for name in methods}
    seconds = dict.fromkeys(methods, 0.0)
    stream = evaluation_stream(templates, backgrounds, protocol)
    for scene in tqdm(_scenes(stream, protocol.count), total=protocol.count, unit="scene", disable=not progress):
        true.append(describe(scene, templates))
        for name, method in methods.items():
            start = time.perf_counter()
            quads: Quads = method(scene.image, scene.templates.tolist())
            seconds[name] += time.perf_counter() - start
            outcomes[name].append(look_at(quads, scene))
    counts = {group: [chosen(each) for each in true] for group, chosen in GROUPS.items()}
    results = {
        name: SceneMethodResult(
            {group: score_quads(outcomes[name], flags, thresholds.get(name, 0.0)) for group, flags in counts.items()},
            1000.0 * seconds[name] / protocol.count,
        )
        for name in methods
    }
    return ScenesEvaluation(protocol, len(templates), len(backgrounds), weights_hash, results)


def evaluation_stream(
    templates: Sequence[Picture], backgrounds: Sequence[Picture], protocol: ScenesProtocol
) -> SceneStream:
    """The scenes on which methods are measured."""
    return SceneStream(templates, backgrounds, protocol.seed, protocol.scenes, "evaluation")


def describe(scene: Scene, templates: Sequence[Picture]) -> TrueQuads:
    """What is known of the templates in a scene."""
    shapes = [templates[number].shape for number in scene.templates.tolist()]
    angles = [_angle(corners, shape) for corners, shape in zip(scene.corners, shapes, strict=True)]
    return TrueQuads(shorter_sides(scene.corners), np.array(angles, np.float64), scene.visible)


def _scenes(stream: SceneStream, count: int) -> Iterator[Scene]:
    return (stream[index] for index in range(count))


def _angle(corners: NDArray[np.float32], shape: tuple[int, ...]) -> float:
    """By how much the middle of a template is foreshortened, as an angle in degrees.

    There a picture (h, w) is scaled by the singular values of the derivative of its homography; the smaller over the
    larger is the cosine.
    """
    height, width = shape
    square = np.array(UNIT_SQUARE, np.float32) * (width, height)
    H = cv2.getPerspectiveTransform(square.astype(np.float32), corners)
    x, y, depth = H @ (width / 2, height / 2, 1.0)
    derivative = (H[:2, :2] - np.outer([x / depth, y / depth], H[2, :2])) / depth
    largest, smallest = np.linalg.svd(derivative, compute_uv=False)
    return float(np.degrees(np.arccos(np.clip(smallest / largest, 0.0, 1.0))))
