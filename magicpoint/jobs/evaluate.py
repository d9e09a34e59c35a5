"""Networks measured beside other methods, on shapes, labelled images and image pairs, with reports."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from ..core.errors import InputError
from ..core.files import AnyPath
from ..core.outputs import check_writable
from ..core.shards import Shard
from ..data.hpatches import find_sequences
from ..data.labelled_images import LabelledImages
from ..data.pinned_images import TEST_IMAGES_PER_SHAPE
from ..evaluation.interiors.report import claimed_interiors_report, write_interiors_report
from ..evaluation.interiors.results import InteriorsEvaluation, InteriorsProtocol
from ..evaluation.interiors.run import evaluate_on_interiors
from ..evaluation.labels.report import write_labels_report
from ..evaluation.labels.results import LabelsEvaluation
from ..evaluation.labels.run import evaluate_on_labels
from ..evaluation.methods.base import PairsMethod, ShapesMethod
from ..evaluation.methods.matched import MatchedBy
from ..evaluation.methods.network import NetworkOnPairs, NetworkOnShapes
from ..evaluation.methods.opencv import ON_PAIRS, ON_SHAPES
from ..evaluation.pairs.protocols import PAIRS_PROTOCOLS
from ..evaluation.pairs.report import claimed_pairs_report, write_pairs_report
from ..evaluation.pairs.results import PairsEvaluation, PairsProtocol
from ..evaluation.pairs.run import evaluate_on_pairs
from ..evaluation.robustness.report import claimed_robustness_report, write_robustness_report
from ..evaluation.robustness.results import RobustnessEvaluation, RobustnessProtocol
from ..evaluation.robustness.run import evaluate_robustness
from ..evaluation.shapes.report import claimed_shapes_report, write_shapes_report
from ..evaluation.shapes.results import EvaluatedWeights, ShapesEvaluation
from ..evaluation.shapes.run import evaluate_on_shapes
from ..inference.extractor import Extractor
from ..io.finding import find_images
from ..io.images import read_image, shrink
from ..io.reading import ImageReading
from ..matching.nearest import Matching
from .evaluate_shares import evaluate_share

DESCRIBING = tuple(name for name, method in ON_PAIRS.items() if method.has_descriptors)
"""The methods of pairs whose keypoints can be matched."""


def evaluate_synthetic(
    weights: AnyPath | Extractor,
    out: AnyPath | None = None,
    images_per_shape: int = TEST_IMAGES_PER_SHAPE,
    methods: Sequence[str] = tuple(ON_SHAPES),
    progress: bool = True,
    name: str | None = None,
) -> ShapesEvaluation:
    """Evaluates a network and classical detectors on the test set, and writes it all to a folder.

    Args:
        weights: A shipped name, a weights file, a run's folder, or an extractor. Its threshold decides precision,
            recall, localisation error, counts and repeatability; the average precision takes all that it detects.
        out: Folder for `synthetic.json`, `synthetic.txt` (the table), and for each of the conditions clean, noise
            and heavy `precision_recall_CONDITION.png` and `examples_CONDITION.png`; None writes nothing.
        images_per_shape: Images of each of the seven shapes with keypoints; only all 1000 are the pinned test set.
        methods: Names of the classical detectors.
        progress: Show a progress bar on the standard error.
        name: Under which the network's results appear; None: the name of the weights, without a suffix.

    Raises:
        FileNotFoundError: There are no such weights.
        OSError: A file cannot be written.
        InputError: The weights are damaged, a method is unknown or has the network's name, there would be no images, or
            something else than a report on this network is in the folder, see `evaluation.outputs`.
    """
    _check_known("methods", methods, ON_SHAPES)
    extractor = weights if isinstance(weights, Extractor) else Extractor.load(weights)
    name = Path(extractor.weights).stem if name is None else name
    _check_free([name], methods)
    network = NetworkOnShapes(extractor)
    compared: dict[str, ShapesMethod] = {name: network, **{method: ON_SHAPES[method] for method in methods}}
    thresholds = {name: extractor.settings.threshold}
    provenance = extractor.provenance
    identity = EvaluatedWeights(provenance["weights"], provenance["weights_hash"])
    with claimed_shapes_report(out, provenance["weights_hash"]):
        evaluation = evaluate_on_shapes(compared, images_per_shape, thresholds, progress)
        evaluation = dataclasses.replace(evaluation, weights=identity)
        if out is not None:
            write_shapes_report(evaluation, name, network, Path(out))
    return evaluation


def evaluate_labels(
    weights: AnyPath | Extractor,
    images: Sequence[AnyPath],
    labels: AnyPath,
    out: AnyPath | None = None,
    holdout: float | None = None,
    methods: Sequence[str] = tuple(ON_SHAPES),
    progress: bool = True,
    name: str | None = None,
) -> LabelsEvaluation:
    """Evaluates a network and classical detectors on labelled images, and writes it all to a folder.

    Args:
        weights: A shipped name, a weights file, a run's folder, or an extractor, see `evaluate_synthetic`.
        images: Image files and folders.
        labels: Their labels, as `magicpoint labels` writes them. Images without labels are left out.
        out: Folder for `labels.json` and `labels.txt` (the tables); None writes nothing.
        holdout: Take those images alone that a training with this `holdout` does not train on; None takes all.
        methods: Names of the classical detectors.
        progress: Show a progress bar on the standard error.
        name: Under which the network's results appear; None: the name of the weights, without a suffix.

    Raises:
        FileNotFoundError: There are no such weights, images or labels.
        OSError: A file cannot be read or written.
        InputError: The weights, an image or the labels are damaged, a method is unknown or has the network's name, or
            the images have no point.
    """
    _check_known("methods", methods, ON_SHAPES)
    if holdout is not None and not 0 < holdout < 1:
        raise InputError(f"holdout must be in (0, 1), got {holdout}")
    extractor = weights if isinstance(weights, Extractor) else Extractor.load(weights)
    name = Path(extractor.weights).stem if name is None else name
    _check_free([name], methods)
    if out is not None:
        check_writable(out)
    dataset = LabelledImages(images, labels)
    indices = range(len(dataset)) if holdout is None else dataset.split_by_name(holdout)[1]
    compared: dict[str, ShapesMethod] = {
        name: NetworkOnShapes(extractor),
        **{method: ON_SHAPES[method] for method in methods},
    }
    thresholds = {name: extractor.settings.threshold}
    evaluation = evaluate_on_labels(compared, dataset, indices, thresholds, holdout, progress)
    if out is not None:
        write_labels_report(evaluation, out)
    return evaluation


def evaluate_pairs(
    folder: AnyPath,
    out: AnyPath | None = None,
    networks: Mapping[str, Extractor] | None = None,
    methods: Sequence[str] = tuple(ON_PAIRS),
    protocols: Sequence[str] = tuple(PAIRS_PROTOCOLS),
    progress: bool = True,
    reading: ImageReading | None = None,
    matchers: Mapping[str, Matching] | None = None,
    keypoints: Sequence[int] = (),
    shard: Shard | None = None,
) -> PairsEvaluation:
    """Evaluates networks and other methods on image pairs, and writes it all to a folder.

    Args:
        folder: The dataset, see `data.hpatches.find_sequences`.
        out: Folder for `homography.json`, `homography.txt` (the tables) and, for each protocol,
            `homography_PROTOCOL.png`; None writes nothing.
        networks: By the name under which their results appear. One without descriptors has no measures of matching.
        methods: Names of other methods, of `opencv.ON_PAIRS`.
        protocols: Names of `PAIRS_PROTOCOLS`.
        progress: Show a progress bar on the standard error.
        reading: How the images are read; None stands for `ImageReading()`.
        matchers: Ways to match the keypoints of the networks, by name, each a row; None: mutual nearest neighbours.
        keypoints: Numbers of keypoints for which there is a further protocol, at 480x640.
        shard: Take this share of the scenes alone, and write it to the folder as `shard.name("homography.json")`; see
            `jobs.evaluate_shares.merge_evaluation`.

    Raises:
        OSError: A file is missing or cannot be read or written.
        InputError: A method or a protocol is unknown, two methods have one name, nothing is asked for, a file of the
            dataset is damaged, or something else than a report on one of these networks is in the folder; it is named.
    """
    networks = networks or {}
    _check_known("methods", methods, ON_PAIRS)
    _check_known("protocols", protocols, PAIRS_PROTOCOLS)
    if not (protocols or keypoints) or not (methods or networks):
        raise InputError("nothing to evaluate: at least one protocol and one method or network are needed")
    compared = _compared(networks, matchers, methods)
    chosen = {name: PAIRS_PROTOCOLS[name] for name in protocols}
    for count in keypoints:
        if count < 1:
            raise InputError(f"keypoints must be at least 1, got {count}")
        chosen[f"keypoints-{count}"] = PairsProtocol((640, 480), count, (4,), matching=True)
    sequences = find_sequences(folder)
    if shard is not None:
        evaluate = partial(evaluate_on_pairs, methods=compared, protocols=chosen, progress=progress, reading=reading)
        return evaluate_share(sequences, evaluate, out, shard, _hashes(networks))
    with claimed_pairs_report(out, chosen, _hashes(networks)):
        evaluation = evaluate_on_pairs(sequences, compared, chosen, progress, reading)
        if out is not None:
            write_pairs_report(evaluation, Path(out))
    return evaluation


def evaluate_interiors(
    photographs: AnyPath,
    out: AnyPath | None = None,
    networks: Mapping[str, Extractor] | None = None,
    methods: Sequence[str] = DESCRIBING,
    protocol: InteriorsProtocol | None = None,
    progress: bool = True,
    reading: ImageReading | None = None,
    matchers: Mapping[str, Matching] | None = None,
) -> InteriorsEvaluation:
    """Evaluates networks and other methods on rendered rooms, and writes it all to a folder.

    Depth and poses of the rooms are known exactly, so this measures what pairs of photographs of planes cannot: matches
    with parallax, and the pose that they give.

    Args:
        photographs: Folder of images, for walls and things; the same ones give the same rooms.
        out: Folder for `interiors.json` and `interiors.txt` (the table); None writes nothing.
        networks: By the name under which their results appear; with descriptors.
        methods: Names of other methods, of `opencv.ON_PAIRS`, that have descriptors.
        protocol: None stands for `InteriorsProtocol()`.
        progress: Show a progress bar on the standard error.
        reading: How the images are read; None stands for `ImageReading()`.
        matchers: As for `evaluate_pairs`.

    Raises:
        OSError: A file cannot be read or written.
        InputError: A method is unknown or has no descriptors, two have one name, nothing is asked for, there is no
            photograph, one is damaged, or something else than a report on one of these networks is in the folder; it
            is named.
    """
    networks = networks or {}
    _check_known("methods", methods, ON_PAIRS)
    if not (methods or networks):
        raise InputError("nothing to evaluate: at least one method or network is needed")
    compared = _compared(networks, matchers, methods)
    found = find_images([photographs]).values()
    textures = [np.rint(read_image(path, reading) * 255).astype(np.uint8) for path in found]
    with claimed_interiors_report(out, _hashes(networks)):
        evaluation = evaluate_on_interiors(textures, compared, protocol, progress)
        if out is not None:
            write_interiors_report(evaluation, Path(out))
    return evaluation


def evaluate_changed(
    photographs: AnyPath,
    out: AnyPath | None = None,
    networks: Mapping[str, Extractor] | None = None,
    methods: Sequence[str] = tuple(ON_PAIRS),
    protocol: RobustnessProtocol | None = None,
    progress: bool = True,
    reading: ImageReading | None = None,
) -> RobustnessEvaluation:
    """Evaluates networks and other methods on photographs under one change at a time, from none to much of it.

    Args:
        photographs: Folder of images.
        out: Folder for `robustness.json`, `robustness.txt` (the tables) and `robustness.png` (the curves); None writes
            nothing.
        networks: By the name under which their results appear. One without descriptors has no measures of matching.
        methods: Names of other methods, of `opencv.ON_PAIRS`.
        protocol: None stands for `RobustnessProtocol()`.
        progress: Show a progress bar on the standard error.
        reading: How the images are read; None stands for `ImageReading()`.

    Raises:
        OSError: A file cannot be read or written.
        InputError: A method is unknown, two have one name, nothing is asked for, there is no photograph, one is
            damaged, or something else than a report on one of these networks is in the folder; it is named.
    """
    networks, protocol = networks or {}, protocol or RobustnessProtocol()
    _check_known("methods", methods, ON_PAIRS)
    if not (methods or networks):
        raise InputError("nothing to evaluate: at least one method or network is needed")
    compared = _compared(networks, None, methods)
    found = list(find_images([photographs]).values())
    count = min(len(found), protocol.photographs)
    chosen = [found[number * len(found) // count] for number in range(count)]
    greys = (shrink(read_image(path, reading), protocol.longest_side) for path in chosen)
    images = [np.rint(grey * 255).astype(np.uint8) for grey in greys]
    with claimed_robustness_report(out, _hashes(networks)):
        evaluation = evaluate_robustness(images, compared, protocol, progress)
        if out is not None:
            write_robustness_report(evaluation, out)
    return evaluation


def _compared(
    networks: Mapping[str, Extractor], matchers: Mapping[str, Matching] | None, methods: Sequence[str]
) -> dict[str, PairsMethod]:
    """All methods by the names of their rows."""
    _check_free(networks, methods)
    found: dict[str, PairsMethod] = {name: NetworkOnPairs(extractor) for name, extractor in networks.items()}
    if matchers:
        found = {
            f"{name} {way}": MatchedBy(method, matching)
            for name, method in found.items()
            for way, matching in matchers.items()
        }
    return found | {name: ON_PAIRS[name] for name in methods}


def _hashes(networks: Mapping[str, Extractor]) -> set[str]:
    return {extractor.provenance["weights_hash"] for extractor in networks.values()}


def _check_known(kind: str, asked: Sequence[str], known: Iterable[str]) -> None:
    unknown = [name for name in asked if name not in known]
    if unknown:
        raise InputError(f"unknown {kind} {unknown}: choose from {', '.join(known)}")


def _check_free(networks: Iterable[str], methods: Sequence[str]) -> None:
    taken = [name for name in networks if name in methods]
    if taken:
        raise InputError(f"a network cannot have the name of a method: {taken}")
