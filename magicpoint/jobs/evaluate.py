"""Networks measured beside other methods, on shapes and on image pairs, with reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..data.hpatches import find_sequences
from ..data.pinned_images import TEST_IMAGES_PER_SHAPE
from ..evaluation.methods.for_pairs import METHODS, PairMethod
from ..evaluation.methods.for_shapes import CLASSICAL, Detector
from ..evaluation.methods.network import Network, NetworkDetector
from ..evaluation.pairs.report import write_homography_report
from ..evaluation.pairs.run import HomographyProtocol, evaluate_methods
from ..evaluation.shapes.report import write_report
from ..evaluation.shapes.run import evaluate_detectors
from ..inference.extractor import Extractor


def evaluate_synthetic(
    weights: Path | Extractor,
    out: Path,
    images_per_shape: int = TEST_IMAGES_PER_SHAPE,
    methods: Sequence[str] = tuple(CLASSICAL),
    progress: bool = True,
    name: str | None = None,
) -> Path:
    """Evaluates a network and classical detectors on the test set, prints the table and writes it all to a folder.

    Args:
        weights: A weights file, a run's folder, or an extractor. Its threshold decides precision, recall, localisation
            error, counts and repeatability; the average precision takes all that it detects.
        out: Folder for ``synthetic.json``, ``synthetic.txt`` (the table), ``precision_recall_clean.png``,
            ``precision_recall_noise.png``, ``examples_clean.png`` and ``examples_noise.png``.
        images_per_shape: Images of each of the seven shapes with keypoints; only all 1000 are the pinned test set.
        methods: Names of the classical detectors.
        progress: Show a progress bar on the standard error.
        name: Under which the network's results appear; None: the name of the weights, without a suffix.

    Returns:
        The path of the JSON file.

    Raises:
        FileNotFoundError: There are no such weights.
        ValueError: The weights are damaged, a method is unknown or has the network's name, or there would be no images.
    """
    unknown = [name for name in methods if name not in CLASSICAL]
    if unknown:
        raise ValueError(f"unknown methods {unknown}: choose from {', '.join(CLASSICAL)}")
    extractor = weights if isinstance(weights, Extractor) else Extractor.load(weights)
    name = Path(extractor.weights).stem if name is None else name
    if name in methods:
        raise ValueError(f"a network cannot have the name of a method: {name}")
    network = NetworkDetector.below_threshold(name, extractor)
    detectors: list[Detector] = [network, *(CLASSICAL[name]() for name in methods)]
    thresholds = {network.name: extractor.settings.threshold}
    evaluation = evaluate_detectors(detectors, images_per_shape, thresholds, progress)
    evaluation["weights"] = {name: extractor.provenance[name] for name in ("weights", "weights_hash")}
    return write_report(evaluation, network, out)


PROTOCOLS = {
    "paper-repeatability": HomographyProtocol((320, 240), 300, (4, 8), matching=False),
    "paper-homography": HomographyProtocol((640, 480), 1000, (4,), matching=True),
    "full": HomographyProtocol(None, 2048, (4,), matching=True),
}
"""By name. SuperPoint (arXiv 1712.07629), sections 7.2 and 7.3, states the sizes, the numbers of keypoints and, for the
repeatability, the radii. It does not say how other aspects become 4:3: its best-known reimplementation cuts the image,
here it is stretched, so that all of it is compared."""


def evaluate_pairs(
    folder: Path,
    out: Path,
    networks: Mapping[str, Extractor] | None = None,
    methods: Sequence[str] = tuple(METHODS),
    protocols: Sequence[str] = tuple(PROTOCOLS),
    progress: bool = True,
) -> Path:
    """Evaluates networks and other methods on image pairs, prints the tables and writes it all to a folder.

    Args:
        folder: The dataset, see `data.hpatches.find_sequences`.
        out: Folder for ``homography.json``, ``homography.txt`` (the tables) and, for each protocol,
            ``homography_PROTOCOL.png``.
        networks: By the name under which their results appear. One without descriptors has no measures of matching.
        methods: Names of other methods, of `for_pairs.METHODS`.
        protocols: Names of `PROTOCOLS`.
        progress: Show a progress bar on the standard error.

    Returns:
        The path of the JSON file.

    Raises:
        OSError: A file is missing or cannot be read or written.
        ValueError: A method or a protocol is unknown, two methods have one name, nothing is asked for, or a file of the
            dataset is damaged; it is named.
    """
    networks = networks or {}
    for kind, asked, known in (("methods", methods, METHODS), ("protocols", protocols, PROTOCOLS)):
        unknown = [name for name in asked if name not in known]
        if unknown:
            raise ValueError(f"unknown {kind} {unknown}: choose from {', '.join(known)}")
    if not protocols or not (methods or networks):
        raise ValueError("nothing to evaluate: at least one protocol and one method or network are needed")
    taken = [name for name in networks if name in methods]
    if taken:
        raise ValueError(f"a network cannot have the name of a method: {taken}")
    compared: dict[str, PairMethod] = {name: Network(extractor) for name, extractor in networks.items()}
    compared |= {name: METHODS[name]() for name in methods}
    chosen = {name: PROTOCOLS[name] for name in protocols}
    return write_homography_report(evaluate_methods(find_sequences(folder), compared, chosen, progress), out)
