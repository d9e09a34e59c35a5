"""Pairs of templates and what scenes show: methods measured on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ..core.errors import InputError
from ..core.files import AnyPath, write_text
from ..core.plain import json_text
from ..evaluation.outputs import claimed_report
from ..evaluation.tables import aligned, as_text
from ..inference.extractor import Extractor
from ..model.weights import load_weights, resolve_planar, weights_hash
from ..planar.pictures import Pictures
from ..planar.scenes import draw_boards
from ..planar.verify.evaluation import PairScores, PairsProtocol, VerifyEvaluation, evaluate_on_pairs
from ..planar.verify.methods import PairScore, by_correlation, by_keypoints, by_pooled_descriptors, by_verifier
from ..planar.verify.network import VerifierNetwork

VERIFY_METHODS = ("correlation", "pooled", "keypoints")
"""What the verifier is compared with: normalised cross-correlation, and of superpoint-small the cosine of pooled
descriptors, and keypoints with MAGSAC++.
"""

VERIFY_JSON, VERIFY_TABLE = "verify.json", "verify.txt"
BEGINS = "Pairs of templates and queries: "

BOARDS = 200
"""Drawn where no templates are given; others than those of training."""

_SEED_OF_BOARDS = 1


def evaluate_verifier(
    weights: AnyPath,
    out: AnyPath | None = None,
    templates: Sequence[AnyPath] = (),
    backgrounds: Sequence[AnyPath] = (),
    methods: Sequence[str] = VERIFY_METHODS,
    protocol: PairsProtocol | None = None,
    holdout: float | None = None,
    progress: bool = True,
) -> VerifyEvaluation:
    """Evaluates a verifier and other methods on pairs, and writes it all to a folder.

    Args:
        weights: A shipped name, a weights file or a run's folder.
        out: Folder for `verify.json` and `verify.txt` (the tables); None writes nothing.
        templates: Images of what is to be told apart, and folders of such; without any, boards are drawn.
        backgrounds: Images, and folders of such; without any, the templates.
        methods: Of `VERIFY_METHODS`.
        protocol: None stands for `PairsProtocol()`.
        holdout: Take those templates and backgrounds alone that a training with this holdout does not train on; None
            takes all.
        progress: Show a progress bar on the standard error.

    Raises:
        OSError: A file cannot be read or written.
        InputError: There are no such weights or images, one is damaged, a method is unknown, or something else than a
            report on this network is in the folder; it is named.
    """
    unknown = [name for name in methods if name not in VERIFY_METHODS]
    if unknown:
        raise InputError(f"unknown methods {unknown}: choose from {', '.join(VERIFY_METHODS)}")
    file = resolve_planar(weights)
    network = load_weights(file.path, VerifierNetwork)[0].eval()
    things = Pictures(() if templates else draw_boards(BOARDS, _SEED_OF_BOARDS), templates)
    walls = Pictures((), backgrounds)
    if holdout is not None:
        things, walls = things.split(holdout)[1], walls.split(holdout)[1]
    side, small = network.settings.side, "superpoint-small"
    makers: dict[str, Callable[[], PairScore]] = {
        "correlation": lambda: by_correlation(side),
        "pooled": lambda: by_pooled_descriptors(Extractor.load(small, device="cpu").model.eval(), side),
        "keypoints": lambda: by_keypoints(Extractor.load(small)),
    }
    compared = {file.name: by_verifier(network)} | {name: makers[name]() for name in methods}
    digest = weights_hash(network.state_dict())
    with claimed_report(out, "verify", (), BEGINS, ("templates", "leak", "results"), {digest}):
        protocol = protocol or PairsProtocol()
        evaluation = evaluate_on_pairs(things, walls, network, compared, protocol, digest, progress)
        if out is not None:
            Path(out).mkdir(parents=True, exist_ok=True)
            write_text(Path(out) / VERIFY_TABLE, format_verify(evaluation) + "\n")
            write_text(Path(out) / VERIFY_JSON, json_text(evaluation))
    return evaluation


def format_verify(evaluation: VerifyEvaluation) -> str:
    """The measures of each method over all pairs and by groups, and the verifier's leak, as aligned Markdown."""
    leak, results = evaluation.leak, evaluation.results
    preamble = (
        f"{BEGINS}{evaluation.protocol.count} of {evaluation.templates} templates; half belong together, the others "
        "are another template, the right one turned, and the right one mirrored.\nAccuracy: mean over both halves, of "
        "the verifier at a probability of 0.5, of the others at the best threshold on these very pairs. Found: share "
        "of those that belong together that score above all but a hundredth of the others."
    )
    header = ["method", "accuracy", "AUC", "AP", "found", "ms"]
    rows = [
        [name, *_cells(next(iter(result.groups.values()))), f"{result.milliseconds:.1f}"]
        for name, result in results.items()
    ]
    groups = next(iter(results.values())).groups
    by_group = [
        [group, str(scores.count), *(as_text(result.groups[group].auc) for result in results.values())]
        for group, scores in groups.items()
    ]
    own = [[group, str(scores.count), *_cells(scores)] for group, scores in groups.items()]
    without = (
        f"Without the query the verifier tells {leak.noise:.3f} of the pairs right (noise in its place) and "
        f"{leak.another:.3f} (another object), where chance is 0.5 ± {leak.reach:.3f}"
        f"{': it knows the templates by heart.' if leak.found else '.'}"
    )
    tables = [
        aligned(header, rows),
        without,
        aligned(["AUC", "pairs", *results], by_group),
        aligned([next(iter(results)), "pairs", *header[1:-1]], own),
    ]
    return "\n\n".join([preamble, *tables])


def _cells(scores: PairScores) -> list[str]:
    return [as_text(value) for value in (scores.accuracy, scores.auc, scores.ap, scores.found)]
