"""The comparison on rendered rooms, on cases that can be checked on paper."""

import dataclasses
import json
import math

import cv2
import numpy as np
import pytest
import torch

from magicpoint.cli import main
from magicpoint.core.types import Features
from magicpoint.data.scenes3d.camera import Camera
from magicpoint.data.scenes3d.interior import InteriorSettings
from magicpoint.data.scenes3d.render import TexturedPlane, render
from magicpoint.evaluation.interiors.report import format_interiors, write_interiors_report
from magicpoint.evaluation.interiors.results import InteriorsProtocol
from magicpoint.evaluation.interiors.run import evaluate_on_interiors, measure_room
from magicpoint.evaluation.methods.opencv import ON_PAIRS

SMALL = InteriorsProtocol(
    rooms=2, max_keypoints=300, interior=InteriorSettings(image_size=(160, 120), least_overlap=0.5)
)
K = np.array([[100.0, 0, 31.5], [0, 100, 23.5], [0, 0, 1]])


def photographs(count=6, size=120):
    rng = np.random.default_rng(0)
    coarse = (rng.integers(0, 256, (size // 4, size // 4)).astype(np.uint8) for _ in range(count))
    return [cv2.resize(image, (size, size), interpolation=cv2.INTER_CUBIC) for image in coarse]


def features(points):
    """Each keypoint is described by its number."""
    count = len(points)
    return Features(torch.tensor(points).float(), torch.ones(count), torch.eye(8)[:count], (64, 48))


@pytest.fixture
def views():
    """A wall two metres away, from two places ten centimetres apart: everything moves five pixels to the left."""
    wall = TexturedPlane(
        np.full((4, 4), 90, np.uint8), np.array([-4.0, -4, 2]), np.array([8.0, 0, 0]), np.array([0, 8.0, 0])
    )
    cameras = [Camera(K, np.eye(3), np.array([-x, 0, 0]), (64, 48)) for x in (0.0, 0.1)]
    return [render([wall], camera) for camera in cameras]


def test_what_is_found_again_is_counted(views):
    """Of four keypoints, one leaves the view, one is 1 px off, one 4 px, one is right; all three are matched."""
    features0 = features([[2.0, 20], [20, 20], [30, 30], [40, 10]])
    features1 = features([[60.0, 40], [16, 20], [29, 30], [35, 10]])
    result = measure_room(*views, features0, features1, InteriorsProtocol())
    assert result.keypoints == 4
    assert result.repeatability == pytest.approx(2 * 2 / (3 + 3))  # view 0 does not show (60, 40): it would be at 65
    assert result.localization_error == pytest.approx(0.5)
    assert result.matches == 4
    assert result.matching_accuracy == pytest.approx(2 / 4)
    assert result.matching_score == pytest.approx(2 / 3)
    assert result.pose_error == math.inf  # four matches fix no pose


def test_nothing_is_ordinary(views):
    result = measure_room(*views, features(np.zeros((0, 2))), features(np.zeros((0, 2))), InteriorsProtocol())
    assert (result.keypoints, result.matches, result.matching_accuracy, result.pose_error) == (0, 0, 0, math.inf)
    assert math.isnan(result.repeatability)
    assert math.isnan(result.matching_score)


@pytest.fixture(scope="module")
def evaluation():
    return evaluate_on_interiors(photographs(), {name: ON_PAIRS[name] for name in ("sift", "orb")}, SMALL)


def test_every_method_meets_every_room(evaluation):
    assert list(evaluation.results) == ["sift", "orb"]
    for result in evaluation.results.values():
        assert len(result.rooms) == 2
        assert 0 < result.repeatability <= 1
        assert 0 < result.matching_score <= 1
        assert result.localization_error < 3
    assert evaluation.results["sift"].matching_accuracy > 0.3


def test_the_results_repeat(evaluation):
    again = evaluate_on_interiors(photographs(), {"sift": ON_PAIRS["sift"]}, SMALL)
    assert again.digest == evaluation.digest
    assert again.results["sift"] == evaluation.results["sift"]
    other = evaluate_on_interiors(
        photographs(), {"sift": ON_PAIRS["sift"]}, dataclasses.replace(SMALL, seed=1, rooms=1)
    )
    assert other.digest != evaluation.digest


def test_shares_and_areas_of_the_pose_are_those_of_its_errors(evaluation):
    for result in evaluation.results.values():
        errors = [room.pose_error for room in result.rooms]
        assert result.pose_accuracy == {t: sum(e <= t for e in errors) / 2 for t in (5, 10, 20)}
        assert result.pose_auc[20] == pytest.approx(sum(max(0.0, 1 - e / 20) for e in errors) / 2)


def test_the_report_has_a_row_for_each_method(evaluation, tmp_path):
    write_interiors_report(evaluation, tmp_path / "e")
    table = (tmp_path / "e" / "interiors.txt").read_text()
    assert table == format_interiors(evaluation) + "\n"
    assert [line.split()[1] for line in table.splitlines() if line.startswith("|")][2:] == ["sift", "orb"]
    stored = json.loads((tmp_path / "e" / "interiors.json").read_text())
    assert stored["results"]["orb"]["repeatability"] == evaluation.results["orb"].repeatability
    assert stored["protocol"]["rooms"] == 2


def test_the_command_line_papers_rooms_with_the_photographs_of_a_folder(tmp_path, capsys):
    for number, photograph in enumerate(photographs()):
        cv2.imwrite(str(tmp_path / f"{number}.png"), photograph)
    words = ["evaluate", str(tmp_path), "--dataset", "interiors", "--rooms", "1", "--weights", "superpoint-tiny"]
    words += ["--methods", "orb", "--out", str(tmp_path / "e"), "--json"]
    assert main(words) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "e" / "interiors.json").read_text())
    assert list(printed["results"]) == ["superpoint-tiny", "orb"]
    assert printed["photographs"] == 6


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ValueError, match="photographs"):
        evaluate_on_interiors([], {"sift": ON_PAIRS["sift"]}, SMALL)
    with pytest.raises(ValueError, match="harris lacks"):
        evaluate_on_interiors(photographs(), {"harris": ON_PAIRS["harris"]}, SMALL)
