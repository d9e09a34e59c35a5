"""Methods on photographs and their changed copies, in the same run."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from synthetic_shapes.seeding import sample_generator

from ...core.errors import InputError
from ...core.machine import versions
from ...measures.statistics import mean_of_defined
from ..methods.base import Detect, PairsMethod, Selection
from ..pairs.score import measure_pair
from .changes import CHANGES
from .results import Point, RobustnessEvaluation, RobustnessProtocol

Measures = Mapping[str, float]


def evaluate_robustness(
    photographs: Sequence[NDArray[np.uint8]],
    methods: Mapping[str, PairsMethod],
    protocol: RobustnessProtocol | None = None,
    progress: bool = False,
) -> RobustnessEvaluation:
    """Evaluates methods, by name, on each photograph beside itself under each change of each strength.

    Args:
        photographs: uint8 (h, w), as they are to be compared.
        methods: By the name under which their results appear.
        protocol: None stands for `RobustnessProtocol()`; its number and size of photographs is for whoever reads them.
        progress: Show a progress bar on the standard error.

    Raises:
        InputError: There is no photograph.
    """
    protocol = protocol or RobustnessProtocol()
    if not photographs:
        raise InputError("there is no photograph to change")
    detectors = {
        name: method.prepare(
            Selection(protocol.nms_radius, protocol.border, protocol.max_keypoints, method.has_descriptors)
        )
        for name, method in methods.items()
    }
    described = {name: method.has_descriptors for name, method in methods.items()}
    found: dict[tuple[str, str, float], list[Measures]] = {}
    for number, image in enumerate(tqdm(photographs, unit="photograph", disable=not progress)):
        for name, detect in detectors.items():
            for place, measures in _measure(image, number, detect, described[name], protocol).items():
                found.setdefault((place[0], name, place[1]), []).append(measures)
    digest = hashlib.sha256(b"".join(repr(image.shape).encode() + image.tobytes() for image in photographs))
    return RobustnessEvaluation(
        protocol=protocol,
        photographs=len(photographs),
        digest=digest.hexdigest(),
        methods={name: method.settings() for name, method in methods.items()},
        versions=versions(),
        curves={
            change: {
                name: tuple(
                    _point(strength, found[change, name, strength], described[name])
                    for strength in sorted(CHANGES[change].strengths)
                )
                for name in methods
            }
            for change in protocol.changes
        },
    )


def _measure(
    image: NDArray[np.uint8], number: int, detect: Detect, described: bool, protocol: RobustnessProtocol
) -> dict[tuple[str, float], Measures]:
    """What a method comes to on one photograph, by change and strength."""
    measures: dict[tuple[str, float], Measures] = {}
    features0 = detect(image)
    for change in protocol.changes:
        for strength in CHANGES[change].strengths:
            rng = sample_generator(protocol.seed, f"robustness {change} {strength:g}", number)
            view = CHANGES[change].apply(image, strength, rng)
            measures[change, strength] = measure_pair(features0, detect(view.image), view.H_0to1, described)
    return measures


def _point(strength: float, measured: Sequence[Measures], described: bool) -> Point:
    def mean(name: str) -> float:
        return mean_of_defined([measures[name] for measures in measured])

    return Point(
        strength=strength,
        repeatability=mean("repeatability"),
        localization_error=mean("localization_error"),
        matching_score=mean("matching_score") if described else None,
        homography_accuracy=mean("homography_accuracy_3") if described else None,
    )
