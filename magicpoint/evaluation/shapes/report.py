"""An evaluation on synthetic shapes as a table, as JSON and as a folder of files."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from ...core.files import AnyPath, write_text
from ...core.plain import as_plain, json_text
from ...data.pinned_images import CONDITIONS
from ...io.images import write_png
from ..methods.base import ShapesMethod
from ..outputs import TITLE, claimed_report
from ..tables import aligned, as_text
from .figures import draw_curves, draw_examples
from .results import OverallMeasures, ShapeMeasures, ShapesEvaluation

SHAPES_JSON = "synthetic.json"
SHAPES_TABLE = "synthetic.txt"
_BEGINS = "Synthetic shapes: "


def claimed_shapes_report(out: AnyPath | None, weights: str) -> AbstractContextManager[None]:
    """Keeps a folder for `write_shapes_report` on a network of this hash, see `outputs.claimed_report`."""
    pictures = [f"{kind}_{condition}.png" for kind in ("precision_recall", "examples") for condition in CONDITIONS]
    return claimed_report(out, "synthetic", pictures, _BEGINS, ("dataset", "test_set"), [weights])


def write_shapes_report(evaluation: ShapesEvaluation, name: str, method: ShapesMethod, out: AnyPath) -> None:
    """Writes an evaluation to a folder.

    Args:
        evaluation: From `shapes.run.evaluate_on_shapes`.
        name: Of one of its methods, whose detections the example sheets show.
        method: That method.
        out: See `jobs.evaluate.evaluate_synthetic` for the files.

    Raises:
        OSError: A file cannot be written.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / SHAPES_TABLE, format_shapes(evaluation) + "\n")
    for condition in CONDITIONS:
        write_png(out / f"precision_recall_{condition}.png", draw_curves(evaluation, condition), TITLE)
        write_png(out / f"examples_{condition}.png", draw_examples(evaluation, name, method, condition), TITLE)
    write_text(out / SHAPES_JSON, json_text(shapes_as_plain(evaluation)))


def shapes_as_plain(evaluation: ShapesEvaluation) -> dict[str, Any]:
    """The layout of the JSON file."""
    plain = as_plain(evaluation)
    changes = plain["test_set"].pop("changes")
    test_set = {"size" if name == "size_hw" else name: value for name, value in plain["test_set"].items()} | changes
    methods = {
        name: {
            **as_plain(method),
            "overall": {condition: _flat(measures) for condition, measures in method.overall.items()},
            "shapes": {
                shape: {condition: _flat(measures) for condition, measures in of_shape.items()}
                for shape, of_shape in method.shapes.items()
            },
        }
        for name, method in evaluation.methods.items()
    }
    whole = {"dataset": "synthetic", **plain, "test_set": test_set, "methods": methods}
    return whole if evaluation.weights is not None else {name: whole[name] for name in whole if name != "weights"}


def _flat(measures: OverallMeasures | ShapeMeasures) -> dict[str, Any]:
    plain = as_plain(measures)
    return {**plain["detection"], "repeatability": plain["repeatability"]}


def format_shapes(evaluation: ShapesEvaluation) -> str:
    """The overall measures of each method, and its average precision on each shape, as aligned Markdown."""
    return "\n\n".join([_preamble(evaluation), *_digest_warnings(evaluation), *_tables(evaluation)])


def _preamble(evaluation: ShapesEvaluation) -> str:
    test_set, protocol = evaluation.test_set, evaluation.protocol
    height, width = test_set.size_hw
    sources: dict[str, list[str]] = {}
    for name, method in evaluation.methods.items():
        sources.setdefault(method.thresholds_from, []).append(name)
    thresholds = "; ".join(f"{source}: {', '.join(names)}" for source, names in sources.items())
    pairs = protocol.repeatability
    return (
        f"{_BEGINS}{test_set.images_per_shape} images of {height}x{width} of each of "
        f"{len(test_set.shapes)} shapes, {', '.join(CONDITIONS)}.\n"
        f"Detections are matched one to one to the true corners; nothing counts within {protocol.border} px of the "
        "edge.\nAverage precision (AP) is pooled over a shape; overall values are means over the shapes.\n"
        f"Thresholds of all but AP: {thresholds}.\n"
        f"Repeatability: {pairs.pairs_per_shape} warped pairs of each shape, within {pairs.tolerance:g} px, "
        "one to one (many to one)."
    )


def _digest_warnings(evaluation: ShapesEvaluation) -> list[str]:
    """What the reader must know where the images are not those of the pinned test set."""
    test_set = evaluation.test_set
    if test_set.pinned_digests is None:
        return [f"NOTE: only {test_set.images_per_shape} images of each shape: this is not the pinned test set."]
    return [
        f"WARNING: the {condition} renders differ from the pinned test set (pinned {pinned}, got {got}): "
        "other versions of OpenCV or NumPy. These values do not compare with published ones."
        for condition, pinned in test_set.pinned_digests.items()
        if pinned != (got := test_set.digests[condition])
    ]


def _tables(evaluation: ShapesEvaluation) -> list[str]:
    blocks = []
    for condition in CONDITIONS:
        for name, distance in evaluation.protocol.tolerances.items():
            blocks.append(f"{condition}, {name} protocol ({distance:g} px)\n\n{_overall(evaluation, condition, name)}")
        for name in evaluation.protocol.tolerances:
            blocks.append(f"{condition}, {name} protocol: AP by shape\n\n{_by_shape(evaluation, condition, name)}")
    return blocks


def _overall(evaluation: ShapesEvaluation, condition: str, tolerance: str) -> str:
    header = ["method", "mAP", "threshold", "precision", "recall", "error px", "points/image", "repeatability"]
    rows = []
    for name, method in evaluation.methods.items():
        found, repeated = method.overall[condition].detection[tolerance], method.overall[condition].repeatability
        rows.append(
            [
                name,
                as_text(found.ap),
                f"{method.thresholds[condition]:.3g}",
                *(as_text(measure) for measure in (found.precision, found.recall, found.localization_error)),
                as_text(found.keypoints_per_image, 1),
                f"{as_text(repeated.one_to_one)} ({as_text(repeated.many_to_one)})",
            ]
        )
    return aligned(header, rows)


def _by_shape(evaluation: ShapesEvaluation, condition: str, tolerance: str) -> str:
    shapes = evaluation.test_set.shapes
    rows = [
        [name, *(as_text(method.shapes[shape][condition].detection[tolerance].ap) for shape in shapes)]
        for name, method in evaluation.methods.items()
    ]
    return aligned(["method", *shapes], rows)
