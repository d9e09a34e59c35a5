"""A verifier measured beside other methods, on the same pairs."""

import json

import numpy as np
import pytest
import torch

from magicpoint.cli import main
from magicpoint.inference.extractor import Extractor
from magicpoint.jobs.verify import VERIFY_METHODS, evaluate_verifier
from magicpoint.model.weights import save_weights
from magicpoint.planar.scenes import draw_boards
from magicpoint.planar.verify.evaluation import GROUPS, PairsProtocol, best_threshold, score_pairs
from magicpoint.planar.verify.methods import by_correlation, by_keypoints, by_pooled_descriptors
from magicpoint.planar.verify.network import VerifierNetwork
from magicpoint.planar.verify.settings import VerifierModelSettings

SAME = np.array([True, True, False, False])


@pytest.mark.parametrize(
    ("scores", "threshold", "accuracy", "auc", "found"),
    [
        ([4, 3, 2, 1], 2.5, 1.0, 1.0, 1.0),
        ([4, 2, 3, 1], 2.5, 0.5, 0.75, 0.5),
        ([4, 3, 2, 1], 0.0, 0.5, 1.0, 1.0),
        ([1, 1, 1, 1], 0.0, 0.5, 0.5, 0.0),
    ],
)
def test_measures_on_paper(scores, threshold, accuracy, auc, found):
    measured = score_pairs(np.array(scores, float), SAME, threshold)
    assert (measured.count, measured.accuracy, measured.auc, measured.found) == (4, accuracy, auc, found)


def test_a_group_of_one_kind_has_no_measures_and_the_best_threshold_parts_the_kinds():
    assert np.isnan(score_pairs(np.array([1.0, 2]), SAME[:2], 0.0).auc)
    assert best_threshold(np.array([4.0, 3, 2, 1]), SAME) == 2


def test_other_methods_know_a_picture_from_itself_mirrored_or_in_another_light():
    board = draw_boards(3)[2]
    square = np.ascontiguousarray(board[:112, :112])
    darker = (square // 2 + 40).astype(np.uint8)
    correlation = by_correlation(64)
    assert correlation(darker, square) > 0.99
    assert correlation(square[:, ::-1], square) < 0.9
    assert correlation(np.zeros_like(square), square) == 0.0
    extractor = Extractor.load("superpoint-tiny")
    keypoints = by_keypoints(extractor)
    assert keypoints(darker, square) >= 4
    assert keypoints(np.ascontiguousarray(square[:, ::-1]), square) == 0
    assert keypoints(np.zeros_like(square), square) == 0
    pooled = by_pooled_descriptors(extractor.model.eval(), 64)
    assert pooled(square, square) == pytest.approx(1.0, abs=1e-5)
    assert pooled(darker, square) > pooled(np.zeros_like(square), square)
    with pytest.raises(ValueError, match="some"):
        by_pooled_descriptors(Extractor.load("magicpoint").model, 64)


@pytest.fixture
def weights(tmp_path):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = VerifierNetwork(VerifierModelSettings(0.125, 8, 32))
    return save_weights(tmp_path / "verifier.safetensors", network, {})


@pytest.mark.slow
def test_an_evaluation_is_a_table_and_a_file(tmp_path, weights, capsys):
    out = tmp_path / "out"
    words = ["evaluate", "--dataset", "verify", "--weights", str(weights), "--out", str(out), "--pairs", "12"]
    assert main([*words, "--methods", "correlation", "--holdout", "0.5", "--quiet"]) == 0
    shown = capsys.readouterr().out
    assert "Pairs of templates and queries: 12 of " in shown
    assert "Without the query the verifier tells " in shown
    found = json.loads((out / "verify.json").read_text())
    assert set(found["results"]) == {"verifier.safetensors", "correlation"}
    assert set(found["results"]["correlation"]["groups"]) == set(GROUPS)
    assert found["templates"] < 200
    assert main([*words, "--methods", "--quiet"]) == 0  # its own report may be replaced
    with pytest.raises(ValueError, match="unknown methods"):
        evaluate_verifier(weights, methods=["magic"])
    with pytest.raises(ValueError, match="count must be at least 12"):
        PairsProtocol(count=1)
    assert len(VERIFY_METHODS) == 3


@pytest.mark.parametrize("words", [["--pairs", "2", "--dataset", "verify"], ["--holdout", "2", "--dataset", "verify"]])
def test_its_options_have_limits(tmp_path, capsys, words):
    with pytest.raises(SystemExit):
        main(["evaluate", *words, "--out", str(tmp_path / "out")])
    assert words[0] in capsys.readouterr().err
