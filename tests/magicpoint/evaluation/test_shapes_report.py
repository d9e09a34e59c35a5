"""The report of an evaluation, from a whole run with an untrained network."""

import dataclasses
import json
import math

import cv2
import numpy as np
import pytest
import torch

from magicpoint.data.pinned_images import CONDITIONS, HEAVY, NOISE, TEST
from magicpoint.evaluation.shapes import figures
from magicpoint.evaluation.shapes import run as evaluate
from magicpoint.evaluation.shapes.figures import draw_curves, draw_examples
from magicpoint.evaluation.shapes.report import format_shapes, shapes_as_plain
from magicpoint.jobs.evaluate import evaluate_synthetic
from magicpoint.model.network import MagicPoint
from magicpoint.model.weights import save_weights, weights_hash
from synthetic_shapes import SHAPES_WITH_KEYPOINTS

pytestmark = pytest.mark.slow

METHODS = ["fast", "shi-tomasi"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluation")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = MagicPoint(0.125)
    weights = save_weights(folder / "small.safetensors", model, {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluate, "CALIBRATION_IMAGES", 1)
        patch.setattr(figures, "SHEET_COLUMNS", 1)
        evaluation = evaluate_synthetic(weights, folder / "new" / "out", 1, METHODS, progress=False)
    return evaluation, folder / "new" / "out", model


@pytest.fixture
def evaluation(run):
    return run[0]


def test_the_files_of_a_run_are_there_and_no_others(run):
    names = {"synthetic.json", "synthetic.txt"}
    names |= {f"{picture}_{condition}.png" for picture in ("precision_recall", "examples") for condition in CONDITIONS}
    assert {path.name for path in run[1].iterdir()} == names
    for path in run[1].glob("*.png"):
        assert cv2.imread(str(path)).std() > 5


def test_the_json_holds_what_is_needed_to_reproduce_it(run, evaluation):
    plain = json.loads((run[1] / "synthetic.json").read_text())
    assert plain == shapes_as_plain(evaluation)
    assert plain["weights"] == {"weights": "small.safetensors", "weights_hash": weights_hash(run[2].state_dict())}
    assert plain["test_set"]["images_per_shape"] == 1
    assert plain["test_set"]["noise"]["jpeg_quality"] == NOISE.jpeg_quality
    assert plain["test_set"]["heavy"]["salt_and_pepper"] == HEAVY.salt_and_pepper
    assert len(plain["test_set"]["digests"]["clean"]) == 64
    assert plain["protocol"]["repeatability"]["tolerance"] == 3.0
    assert plain["versions"]["numpy"] == np.__version__
    assert list(plain["methods"]) == ["small", *METHODS]
    assert plain["methods"]["small"]["thresholds"] == dict.fromkeys(CONDITIONS, 0.015)
    assert plain["methods"]["shi-tomasi"]["settings"]["block_size"] == 3


def test_the_table_has_a_row_for_each_method_and_condition(run, evaluation):
    table = format_shapes(evaluation)
    assert (run[1] / "synthetic.txt").read_text() == table + "\n"
    rows = [line for line in table.splitlines() if line.startswith("|")]
    for method in ("small", *METHODS):
        # Two tables, overall and by shape, for each of two conditions and two tolerances.
        assert sum(row.split("|")[1].strip() == method for row in rows) == 4 * len(CONDITIONS)
    assert f"{evaluation.methods['fast'].overall['clean'].detection['strict'].ap:.3f}" in table
    assert "not the pinned test set" in table


def test_the_columns_of_a_table_are_aligned(evaluation):
    for block in format_shapes(evaluation).split("\n\n"):
        lines = [line for line in block.splitlines() if line.startswith("|")]
        assert len({len(line) for line in lines}) <= 1
        assert len({tuple(at for at, sign in enumerate(line) if sign == "|") for line in lines}) <= 1


def test_other_renders_than_the_pinned_ones_are_reported(evaluation):
    def pinned(digests):
        test_set = dataclasses.replace(evaluation.test_set, pinned_digests=digests)
        return format_shapes(dataclasses.replace(evaluation, test_set=test_set))

    got = evaluation.test_set.digests
    table = pinned({**got, "clean": "0123"})
    assert f"the clean renders differ from the pinned test set (pinned 0123, got {got['clean']})" in table
    assert "the noise renders differ" not in table
    assert "WARNING" not in pinned(got)


def with_fast(evaluation, **changes):
    """The evaluation with a changed result of the method fast."""
    fast = dataclasses.replace(evaluation.methods["fast"], **changes)
    return dataclasses.replace(evaluation, methods={**evaluation.methods, "fast": fast})


def test_an_undefined_measure_is_a_dash(evaluation):
    clean = evaluation.methods["fast"].overall["clean"]
    strict = dataclasses.replace(clean.detection["strict"], localization_error=math.nan)
    undefined = dataclasses.replace(clean, detection={**clean.detection, "strict": strict})
    changed = with_fast(evaluation, overall={**evaluation.methods["fast"].overall, "clean": undefined})
    rows = [line.split("|") for line in format_shapes(changed).splitlines() if line.startswith("| fast")]
    assert any(cell.strip() == "-" for row in rows for cell in row)
    plain = shapes_as_plain(changed)["methods"]["fast"]["overall"]["clean"]["strict"]
    assert plain["localization_error"] is None


def test_curves_are_drawn_and_may_be_empty(evaluation):
    shapes = evaluation.methods["fast"].shapes
    noise = shapes["star"]["noise"]
    empty = dataclasses.replace(noise.detection["strict"], curve=())
    star = {**shapes["star"], "noise": dataclasses.replace(noise, detection={**noise.detection, "strict": empty})}
    picture = draw_curves(with_fast(evaluation, shapes={**shapes, "star": star}), "noise")
    assert picture.shape == (750, 1500, 3)
    # Each method has a colour of its own.
    assert (picture.max(axis=2).astype(int) - picture.min(axis=2) > 100).any()


class Truth:
    """Finds the true points."""

    def settings(self):
        return {}

    def __init__(self):
        self.truth = {
            image.tobytes(): keypoints for shape in SHAPES_WITH_KEYPOINTS for image, keypoints in self._samples(shape)
        }

    def _samples(self, shape):
        return TEST.under_all(shape, range(4))["clean"]

    def detect(self, images):
        found = [self.truth[image.tobytes()] for image in images]
        return [(keypoints, np.full(len(keypoints), 1e6, np.float32)) for keypoints in found]


def test_examples_show_right_detections_in_green_where_the_corners_are(evaluation):
    picture = draw_examples(evaluation, "fast", Truth(), "clean").astype(int)
    assert picture.shape == (7 * 120 * 3, 4 * 160 * 3, 3)
    green = (picture[..., 1] - picture[..., 0] > 100) & (picture[..., 1] - picture[..., 2] > 100)
    red = (picture[..., 0] - picture[..., 1] > 100) & (picture[..., 0] - picture[..., 2] > 100)
    assert green.any()
    assert not red.any()
    # The first corner that counts of the first cube, at the middle of its 3 x 3 pixels.
    keypoints = TEST.clean("cube", 0)[1]
    x, y = np.rint(keypoints[((keypoints > 8) & (keypoints < (150, 110))).all(axis=1)][0] * 3 + 1).astype(int)
    assert green[6 * 360 + y, x]
