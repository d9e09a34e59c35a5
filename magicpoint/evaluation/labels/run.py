"""Methods on labelled images, on the same images in the same run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ...core.errors import InputError
from ...core.machine import versions
from ...data.labelled_images import LabelledImages
from ...data.samples import TrainingSample, are_visible
from ...measures.detection import BORDER, DetectionScores, ImageOutcome, match_detections, summarize_outcomes
from ...measures.statistics import rounded
from ..methods.base import ShapesMethod
from ..methods.on_shapes import detect_all
from ..shapes.results import DetectionMeasures
from .results import LabelsEvaluation, LabelsMethodResult

TOLERANCES = (1.0, 2.0, 3.0, 4.0)
"""Largest distances of a match, in pixels."""

CALIBRATION_TOLERANCE = 2.0

Outcomes = dict[tuple[str, float], list[ImageOutcome]]


def evaluate_on_labels(
    methods: Mapping[str, ShapesMethod],
    dataset: LabelledImages,
    indices: Sequence[int],
    thresholds: Mapping[str, float] | None = None,
    holdout: float | None = None,
    progress: bool = False,
) -> LabelsEvaluation:
    """Evaluates methods on labelled images at their own size.

    The rules of counting are those of `measures.detection.score_against_truth`. What lies on masked pixels does not
    count, for any method.

    Args:
        methods: By name.
        dataset: The images.
        indices: Those of them to take.
        thresholds: Score from which on a method's keypoints enter precision, recall, localisation error and counts, by
            its name. A method that is not named gets that with the largest F1 at 2 px on these images, in its favour.
        holdout: What to say of the images in the result.
        progress: Show a progress bar on the standard error.

    Raises:
        OSError: An image cannot be read.
        InputError: Likewise; or the images have no point.
    """
    outcomes: Outcomes = {(name, tolerance): [] for name in methods for tolerance in TOLERANCES}
    points = 0
    for index in tqdm(indices, unit="image", disable=not progress):
        sample = dataset[index]
        points += len(sample.keypoints)
        _look(methods, sample, outcomes)
    if not points:
        raise InputError(f"{dataset.path} has no point in these {len(indices)} images: nothing can be measured")
    results = {}
    for name, method in methods.items():
        given = (thresholds or {}).get(name)
        threshold = given
        if threshold is None:
            threshold = summarize_outcomes(outcomes[name, CALIBRATION_TOLERANCE]).threshold
        results[name] = LabelsMethodResult(
            settings=method.settings(),
            threshold=threshold,
            threshold_from="given" if given is not None else "largest F1 at 2 px on these images",
            measures={f"{t:g}": _measures(summarize_outcomes(outcomes[name, t], threshold)) for t in TOLERANCES},
        )
    matching = "one to one, by decreasing score"
    name = Path(dataset.path).name
    digest = dataset.digest
    return LabelsEvaluation(name, holdout, len(indices), points, digest, BORDER, matching, versions(), results)


def _look(methods: Mapping[str, ShapesMethod], sample: TrainingSample, outcomes: Outcomes) -> None:
    height, width = sample.image.shape
    for name, [(found, scores)] in detect_all(methods, [sample.image]).items():
        seen = are_visible(np.asarray(found), sample.valid_mask)
        for tolerance in TOLERANCES:
            detections = found[seen], scores[seen]
            outcome = match_detections(detections, sample.keypoints, tolerance, BORDER, (width, height))
            outcomes[name, tolerance].append(outcome)


def _measures(scores: DetectionScores) -> DetectionMeasures:
    return DetectionMeasures(
        ap=rounded(scores.ap),
        precision=rounded(scores.precision),
        recall=rounded(scores.recall),
        localization_error=rounded(scores.localization_error),
        keypoints_per_image=rounded(scores.keypoints_per_image),
    )
