"""Methods on image pairs with known homographies, in the same run."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from homography import resizing

from ...core.machine import versions
from ...core.types import Features
from ...data.hpatches import PairSequence, read_homography
from ...io.images import read_image
from ...io.reading import ImageReading
from ...matching.nearest import Matching
from ...measures.statistics import rounded
from ..methods.base import Detect, Image, PairsMethod, Selection
from ..methods.matched import finder_of, matching_of
from ..methods.network import NetworkOnPairs
from .results import EvaluatedSequence, PairResult, PairsEvaluation, PairsMethodResult, PairsProtocol, PairsSettings
from .score import (
    BOOTSTRAP,
    HOMOGRAPHY_THRESHOLDS,
    INLIER_THRESHOLD,
    MATCHING_THRESHOLDS,
    TOLERANCE,
    measure_pair,
    result_of,
)

BORDER = 4
"""Pixels at each side of the resized image: the decoder's default, for every method."""


@dataclass(frozen=True)
class _Run:
    protocol: str
    nms_radius: int
    method: str
    detect: Detect
    matching: bool
    matched_by: Matching | None
    max_keypoints: int


class _Detectors:
    """Makes what several methods and protocols share once, so that the keypoints of an image are found once.

    A network's best keypoints are the first of its best more.
    """

    def __init__(self, protocols: Iterable[PairsProtocol]) -> None:
        self._protocols = tuple(protocols)
        self._made: dict[tuple[int, tuple[int, int] | None, Selection], Detect] = {}

    def prepare(self, finder: PairsMethod, protocol: PairsProtocol, selection: Selection) -> Detect:
        if isinstance(finder, NetworkOnPairs):
            like = [each for each in self._protocols if each.image_size == protocol.image_size]
            selection = dataclasses.replace(selection, max_keypoints=max(each.max_keypoints for each in like))
        key = id(finder), protocol.image_size, selection
        if key not in self._made:
            self._made[key] = finder.prepare(selection)
        return self._made[key]


def evaluate_on_pairs(
    sequences: Sequence[PairSequence],
    methods: Mapping[str, PairsMethod],
    protocols: Mapping[str, PairsProtocol],
    progress: bool = False,
    reading: ImageReading | None = None,
) -> PairsEvaluation:
    """Evaluates methods, by name, under protocols, by name; images are read one at a time.

    Args:
        sequences: As from `data.hpatches.find_sequences`.
        methods: By the name under which their results appear.
        protocols: By name.
        progress: Show a progress bar on the standard error.
        reading: How the images are read; None stands for `ImageReading()`.

    Raises:
        OSError: A file cannot be read.
        ValueError: A file is damaged; it is named.
    """
    detectors = _Detectors(protocols.values())
    runs = [
        _Run(
            name,
            radius,
            method,
            detectors.prepare(finder_of(finder), protocol, selection),
            selection.descriptors,
            matching_of(finder),
            protocol.max_keypoints,
        )
        for name, protocol in protocols.items()
        for radius in protocol.nms_radii
        for method, finder in methods.items()
        for selection in [
            Selection(radius, BORDER, protocol.max_keypoints, protocol.matching and finder.has_descriptors)
        ]
    ]
    found: dict[_Run, list[PairResult]] = {run: [] for run in runs}
    evaluated: dict[str, EvaluatedSequence] = {}
    total = sum(1 + len(sequence.views) for sequence in sequences)
    with tqdm(total=total, unit="image", disable=not progress) as bar:
        for sequence in sequences:
            digest = hashlib.sha256()
            for run, pair in _evaluate_sequence(sequence, runs, protocols, digest, bar, reading):
                found[run].append(pair)
            views = tuple(view.number for view in sequence.views)
            evaluated[sequence.name] = EvaluatedSequence(sequence.change, views, digest.hexdigest())
    results: dict[str, dict[int, dict[str, PairsMethodResult]]] = {
        name: {radius: {} for radius in protocol.nms_radii} for name, protocol in protocols.items()
    }
    for run, pairs in found.items():
        results[run.protocol][run.nms_radius][run.method] = result_of(pairs)
    return PairsEvaluation(
        sequences=evaluated,
        digest=digest_of(evaluated),
        protocols=dict(protocols),
        settings=_SETTINGS,
        methods={name: method.settings() for name, method in methods.items()},
        versions=versions(),
        results=results,
    )


def digest_of(sequences: Mapping[str, EvaluatedSequence]) -> str:
    """SHA-256 over the digests of sequences."""
    return hashlib.sha256("\n".join(sequence.digest for sequence in sequences.values()).encode()).hexdigest()


_SETTINGS = PairsSettings(
    tolerance=TOLERANCE,
    matching="mutual nearest neighbours by cosine (Hamming for binary descriptors), no other test, where none is named",
    matching_thresholds=MATCHING_THRESHOLDS,
    homography_thresholds=HOMOGRAPHY_THRESHOLDS,
    estimator=f"OpenCV USAC_MAGSAC, {INLIER_THRESHOLD:g} px, fitted to its inliers with Cauchy's loss",
    border=BORDER,
    resizing="each side by itself, area when it shrinks, linear when it grows; aspect not kept",
    bootstrap=BOOTSTRAP,
)


def _evaluate_sequence(
    sequence: PairSequence,
    runs: Sequence[_Run],
    protocols: Mapping[str, PairsProtocol],
    digest: Any,
    bar: tqdm[Any],
    reading: ImageReading | None,
) -> Iterator[tuple[_Run, PairResult]]:
    """The measures of each run on each pair."""
    image_size0, features0 = _detect(sequence.reference, runs, protocols, digest, reading)
    bar.update()
    for view in sequence.views:
        H_0to1 = read_homography(view.homography)
        digest.update(H_0to1.astype("<f8").tobytes())
        image_size1, features1 = _detect(view.image, runs, protocols, digest, reading)
        for run, of_0, of_1 in zip(runs, features0, features1, strict=True):
            H = resize_homography(H_0to1, (image_size0, of_0.image_size), (image_size1, of_1.image_size))
            measures = {
                name: rounded(value)
                for name, value in measure_pair(of_0, of_1, H, run.matching, run.matched_by).items()
            }
            yield run, PairResult(sequence.name, sequence.change, view.number, measures)
        bar.update()


def _detect(
    path: Path,
    runs: Sequence[_Run],
    protocols: Mapping[str, PairsProtocol],
    digest: Any,
    reading: ImageReading | None,
) -> tuple[tuple[int, int], list[Features]]:
    """The (W, H) of an image and its features in each run."""
    grey = read_image(path, reading)
    digest.update(np.array(grey.shape, "<i8").tobytes() + grey.astype("<f4").tobytes())
    images: dict[str, Image] = {name: resize_image(grey, protocol.image_size) for name, protocol in protocols.items()}
    found: dict[Detect, Features] = {}
    for run in runs:
        if run.detect not in found:
            found[run.detect] = run.detect(images[run.protocol])
    return (grey.shape[1], grey.shape[0]), [best_of(found[run.detect], run.max_keypoints) for run in runs]


def best_of(features: Features, count: int) -> Features:
    """The first so many, which are the best."""
    if len(features) <= count:
        return features
    scales, descriptors = features.keypoint_scales, features.descriptors
    return dataclasses.replace(
        features,
        keypoints=features.keypoints[:count],
        keypoint_scores=features.keypoint_scores[:count],
        descriptors=None if descriptors is None else descriptors[:count],
        keypoint_scales=None if scales is None else scales[:count],
    )


def resize_image(grey: NDArray[np.float32], image_size: tuple[int, int] | None) -> Image:
    """Resize a grey (H, W) in [0, 1] to (W, H), each side by itself, and round it to uint8.

    A side that shrinks is averaged over the area of each new pixel, one that grows is interpolated linearly; both take
    position k to (k + 0.5) * s - 0.5.
    """
    for axis, side in enumerate(image_size or ()):
        new = [grey.shape[1], grey.shape[0]]
        shrinks = side < new[axis]
        new[axis] = side
        grey = np.asarray(cv2.resize(grey, new, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR))
    return np.rint(grey * 255).clip(0, 255).astype(np.uint8)


def resize_homography(
    H_0to1: NDArray[np.float64],
    image_sizes0: tuple[tuple[int, int], tuple[int, int]],
    image_sizes1: tuple[tuple[int, int], tuple[int, int]],
) -> NDArray[np.float64]:
    """The homography between two images after each was resized, from its old (W, H) to its new, by its own factors."""
    moved: NDArray[np.float64] = resizing(*image_sizes1) @ H_0to1 @ np.linalg.inv(resizing(*image_sizes0))
    return moved
