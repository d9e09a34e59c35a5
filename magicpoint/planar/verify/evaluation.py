"""The verifier and other methods on the same pairs: by kind, size, blur and by how much is hidden."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from ...core.settings import LARGEST_SEED, check_kinds, check_whole
from ...measures.detection import average_precision
from ...measures.ranking import roc_auc
from .batches import as_squares
from .leak import Leak, measure_leak
from .methods import PairScore, resized
from .network import VerifierNetwork
from .orientation import Picture
from .pairs import Pair, PairStream
from .settings import QuerySettings

Flags = NDArray[np.bool_]

SIDE = 192
"""Pixels of the squares, each way: of three times as many as the verifier sees keypoints can be found."""

FEW_FALSE = 0.01


@dataclass(frozen=True)
class PairsProtocol:
    """How methods are measured on pairs.

    Args:
        count: Number of pairs.
        seed: Of the pairs.
        queries: How templates are seen.
    """

    count: int = 600
    seed: int = 0
    queries: QuerySettings = field(default_factory=QuerySettings)

    def __post_init__(self) -> None:
        check_kinds(self)
        check_whole(self, 12, "count")
        check_whole(self, 0, "seed", most=LARGEST_SEED)


GROUPS: dict[str, Callable[[Pair], bool]] = {
    "all": lambda pair: True,
    "same or another": lambda pair: pair.kind in ("same", "another"),
    "same or turned": lambda pair: pair.kind in ("same", "turned"),
    "same or mirrored": lambda pair: pair.kind in ("same", "mirrored"),
    "side below 24 px": lambda pair: pair.query.pixels < 24,
    "side 24 to 48 px": lambda pair: 24 <= pair.query.pixels < 48,
    "side from 48 px": lambda pair: pair.query.pixels >= 48,
    "sharp": lambda pair: pair.query.blur == 0,
    "blur up to 0.03": lambda pair: 0 < pair.query.blur <= 0.03,
    "blur above 0.03": lambda pair: pair.query.blur > 0.03,
    "whole": lambda pair: pair.query.hidden == 0,
    "hidden up to 0.2": lambda pair: 0 < pair.query.hidden <= 0.2,
    "hidden above 0.2": lambda pair: pair.query.hidden > 0.2,
}
"""Which pairs count in a group."""


@dataclass(frozen=True)
class PairScores:
    """How well scores tell the pairs that belong together.

    Args:
        count: Number of pairs.
        accuracy: Mean of the shares told right of those that belong together and of the others.
        auc: Area under the receiver operating characteristic.
        ap: Average precision.
        found: Share of those that belong together whose score is above all but a hundredth of the others'.
    """

    count: int
    accuracy: float
    auc: float
    ap: float
    found: float


@dataclass(frozen=True)
class PairMethodResult:
    """What a method came to.

    Args:
        threshold: The score above which it says that a pair belongs together.
        groups: Its measures by the name of the group, the first of all.
        milliseconds: Mean time of a pair, with nothing computed before.
    """

    threshold: float
    groups: Mapping[str, PairScores]
    milliseconds: float


@dataclass(frozen=True)
class VerifyEvaluation:
    """Methods on the same pairs.

    Args:
        protocol: What was measured.
        templates: Number of templates that pairs are drawn of.
        weights_hash: Of the verifier.
        leak: What it knows without the query.
        results: By method, the verifier first.
    """

    protocol: PairsProtocol
    templates: int
    weights_hash: str
    leak: Leak
    results: Mapping[str, PairMethodResult]


def evaluate_on_pairs(
    templates: Sequence[Picture],
    backgrounds: Sequence[Picture],
    network: VerifierNetwork,
    methods: Mapping[str, PairScore],
    protocol: PairsProtocol,
    weights_hash: str = "",
    progress: bool = True,
) -> VerifyEvaluation:
    """Runs each method on each pair.

    Args:
        templates: Of the pairs.
        backgrounds: Of the pairs; none takes the templates.
        network: In evaluation mode, on the CPU; its leak is measured.
        methods: By name. The first is the network's own, which says yes above 0; of the others the best threshold on
            these very pairs is taken, in their favour.
        protocol: What is measured.
        weights_hash: Of the network.
        progress: Show a progress bar on the standard error.
    """
    stream = PairStream(templates, backgrounds, protocol.seed, SIDE, protocol.queries, "evaluation")
    scores: dict[str, list[float]] = {name: [] for name in methods}
    pairs, seconds, side = [], dict.fromkeys(methods, 0.0), network.settings.side
    for index in tqdm(range(protocol.count), unit="pair", disable=not progress):
        pair = stream[index]
        for name, method in methods.items():
            start = time.perf_counter()
            scores[name].append(method(pair.query.crop, pair.template))
            seconds[name] += time.perf_counter() - start
        pairs.append(pair)
    same, own = np.array([pair.same for pair in pairs]), next(iter(methods))
    groups = {name: np.array([chosen(pair) for pair in pairs]) for name, chosen in GROUPS.items()}
    results = {}
    for name in methods:
        values = np.array(scores[name])
        threshold = 0.0 if name == own else best_threshold(values, same)
        by_group = {group: score_pairs(values[flags], same[flags], threshold) for group, flags in groups.items()}
        results[name] = PairMethodResult(threshold, by_group, 1000.0 * seconds[name] / protocol.count)
    shown = [[resized(each, side) for each in (pair.query.crop, pair.template)] for pair in pairs]
    with torch.inference_mode():
        queries, known = (network.describe(as_squares(part).float() / 255.0) for part in zip(*shown, strict=True))
        leak = measure_leak(network, queries, known, same)
    return VerifyEvaluation(protocol, len(templates), weights_hash, leak, results)


def score_pairs(scores: NDArray[np.float64], same: Flags, threshold: float) -> PairScores:
    """The measures over pairs; what nothing defines is nan."""
    right, wrong = scores[same], scores[~same]
    if not len(right) or not len(wrong):
        return PairScores(len(scores), *[float("nan")] * 4)
    return PairScores(
        len(scores),
        float(0.5 * ((right > threshold).mean() + (wrong <= threshold).mean())),
        roc_auc(scores, same),
        average_precision([(scores, same)], len(right)).ap,
        float((right > np.quantile(wrong, 1 - FEW_FALSE, method="higher")).mean()),
    )


def best_threshold(scores: NDArray[np.float64], same: Flags) -> float:
    """The score above which the mean of the shares told right of both kinds is largest."""
    candidates = np.unique(scores)
    balanced = [(scores[same] > each).mean() + (scores[~same] <= each).mean() for each in candidates]
    return float(candidates[int(np.argmax(balanced))])
