"""`--json`: one JSON object on the standard output and nothing else there, the same figures as in the text."""

import json
import re

import cv2
import numpy as np
import pytest

from magicpoint.cli import main
from magicpoint.data import hpatches_writer
from magicpoint.data.hpatches_writer import write_view_pairs
from magicpoint.evaluation.shapes import figures
from magicpoint.evaluation.shapes import run as shapes_run
from magicpoint.io.matches import read_matches
from magicpoint.jobs.finetune import run as finetune
from magicpoint.model.weights import save_weights


def texture(height, width, seed):
    noise = np.random.default_rng(seed).integers(0, 256, (height, width)).astype(np.uint8)
    return cv2.equalizeHist(cv2.GaussianBlur(noise, (0, 0), 1.5))


@pytest.fixture(scope="module")
def folder(tmp_path_factory, random_network):
    """Weights with random peaks, three images, one of them twice, and a file that is none."""
    folder = tmp_path_factory.mktemp("json")
    save_weights(folder / "w.safetensors", random_network(), {})
    (folder / "images").mkdir()
    for number in range(3):
        assert cv2.imwrite(str(folder / "images" / f"{number}.png"), texture(96, 128, max(1, number)))
    (folder / "broken").mkdir()
    (folder / "broken" / "none.jpg").write_bytes(b"\xff\xd8\xff")
    return folder


@pytest.fixture
def run(folder, capsys):
    """A function that runs a verb with --json, and returns the object and what was said on the standard error."""

    def run(*words):
        assert main([str(word) for word in words] + ["--json"]) == 0
        said = capsys.readouterr()
        found = json.loads(said.out)  # it refuses anything before and after the object
        assert isinstance(found, dict)
        return found, said.err

    return run


@pytest.fixture
def weights(folder):
    return ["--weights", folder / "w.safetensors"]


def test_extract(run, folder, weights, tmp_path):
    words = ["extract", folder / "images", folder / "broken", "--out", tmp_path / "f.h5", *weights]
    found, said = run(*words)
    assert found["keypoints"] > 30
    reason = found["skipped"].pop("broken/none.jpg")
    assert found == {
        **{"path": str(tmp_path / "f.h5"), "images": 3, "keypoints": found["keypoints"]},
        **{"kept": 0, "new": 3, "changed": 0, "dropped": 0, "unread": {}, "skipped": {}},
    }
    assert f"skipped broken/none.jpg: {reason}\n" in said
    assert "1 of 4 images skipped, as listed in" in said
    again, said = run(*words)
    assert (again["kept"], again["keypoints"]) == (3, found["keypoints"])
    assert said.count("skipped broken/none.jpg") == 1


def test_match(run, folder, weights, tmp_path):
    images = [folder / "images" / "0.png", folder / "images" / "1.png"]
    words = ["match", *images, "--out", tmp_path / "m.png", "--max_keypoints", "40", *weights]
    found, _ = run(*words)
    assert found["path"] == str(tmp_path / "m.png")
    assert 4 <= found["match_count"] == found["inlier_count"] <= found["keypoint_count0"] <= 40
    np.testing.assert_allclose(found["H_0to1"], np.eye(3), atol=0.01)
    assert found["matched_keypoints0"] == found["matched_keypoints1"]
    assert np.shape(found["matched_keypoints0"]) == (found["match_count"], 2)
    assert found["inliers"] == [True] * found["match_count"]
    assert cv2.imwrite(str(tmp_path / "flat.png"), np.zeros((96, 128), np.uint8))
    nothing, _ = run(
        "match", tmp_path / "flat.png", images[0], "--out", tmp_path / "m.png", "--threshold", 0.9, *weights
    )
    assert (nothing["match_count"], nothing["H_0to1"], nothing["matched_keypoints0"]) == (0, None, [])


def test_match_as_data(run, folder, weights, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["match", *[folder / "images" / f"{number}.png" for number in (0, 1)], "--max_keypoints", "40", *weights]
    shown, _ = run(*words, "--model", "fundamental")
    assert (shown["path"], shown["model"], shown["H_0to1"], list(tmp_path.iterdir())) == (None, "fundamental", None, [])
    count = shown["match_count"]
    found = {}
    for suffix in ("json", "csv", "h5"):
        found[suffix], _ = run(*words, "--out", f"m.{suffix}")
        assert (found[suffix]["path"], found[suffix]["drawn"]) == (f"m.{suffix}", 0)
    assert json.loads((tmp_path / "m.json").read_text()) == found["json"]
    first, *rows = [line.split(",") for line in (tmp_path / "m.csv").read_text().splitlines()]
    assert first == ["x0", "y0", "x1", "y1", "score", "inlier"]
    np.testing.assert_array_equal(
        np.array(rows, np.float32)[:, :4], np.hstack([shown["matched_keypoints0"], shown["matched_keypoints1"]])
    )
    [(pair, record)] = read_matches(tmp_path / "m.h5").items()
    assert (pair, len(record.matches), record.geometry.model) == (("0.png", "1.png"), count, "homography")
    np.testing.assert_allclose(record.geometry.matrix, np.eye(3), atol=0.01)


def test_track(run, folder, weights, tmp_path):
    found, _ = run("track", folder / "images", "--out", tmp_path / "tracks", "--max_keypoints", 20, *weights)
    assert (found["path"], found["frames"]) == (str(tmp_path / "tracks"), 3)
    assert found["tracks"] >= 20
    assert 1 <= found["longest"] <= 3
    assert found["frames_per_second"] > 0


def test_track_as_a_table(run, folder, weights, tmp_path, capsys):
    words = ["track", folder / "images", "--max_keypoints", 20, *weights]
    found, _ = run(*words, "--table", tmp_path / "t.csv")
    assert (found["path"], found["table"], found["frames"]) == (None, str(tmp_path / "t.csv"), 3)
    first, *rows = [line.split(",") for line in (tmp_path / "t.csv").read_text().splitlines()]
    assert first == ["frame", "track", "x", "y", "length"]
    assert sorted({int(row[0]) for row in rows}) == [0, 1, 2]
    assert len({int(row[1]) for row in rows}) == found["tracks"]
    assert max(int(row[4]) for row in rows) == found["longest"]
    assert all(0 <= float(row[2]) < 128 and 0 <= float(row[3]) < 96 for row in rows)
    before = (tmp_path / "t.csv").read_bytes()
    both, _ = run(*words, "--table", tmp_path / "t.csv", "--out", tmp_path / "tracks")  # its own table is replaced
    assert (both["path"], (tmp_path / "t.csv").read_bytes()) == (str(tmp_path / "tracks"), before)
    (tmp_path / "mine.csv").write_text("x,y\n")
    for table, said in (("mine.csv", "not known as a table of tracks"), ("t.txt", "ends in .csv")):
        assert main([str(word) for word in [*words, "--table", tmp_path / table]]) == 1
        assert said in capsys.readouterr().err
    assert (tmp_path / "mine.csv").read_text() == "x,y\n"


def test_adapt(run, folder, weights, tmp_path):
    words = ["adapt", folder / "images", "--out", tmp_path / "l.h5", "--count", 2, "--precision", "float32", *weights]
    found, _ = run(*words)
    assert found == json.loads((tmp_path / "l.json").read_text())
    assert found["images"] == 3
    again, _ = run(*words)
    assert again["images_per_second"] is None


def test_evaluate_on_shapes(run, weights, tmp_path, monkeypatch):
    monkeypatch.setattr(shapes_run, "CALIBRATION_IMAGES", 1)
    monkeypatch.setattr(figures, "SHEET_COLUMNS", 1)
    found, _ = run("evaluate", "--images_per_shape", 1, "--methods", "fast", "--out", tmp_path, *weights)
    assert found == json.loads((tmp_path / "synthetic.json").read_text())
    assert list(found["methods"]) == ["w", "fast"]


def test_evaluate_on_pairs(run, weights, tmp_path, monkeypatch):
    monkeypatch.setattr(hpatches_writer, "VIEWS", 1)
    write_view_pairs({"scene": texture(96, 128, 1)}, tmp_path / "pairs", 0)
    words = ["--dataset", "homography", "--methods", "orb", "--protocols", "full", "--out", tmp_path / "e"]
    found, _ = run("evaluate", tmp_path / "pairs", *words, *weights)
    assert found == json.loads((tmp_path / "e" / "homography.json").read_text())
    assert list(found["results"]["full"]["nms 4"]) == ["w", "orb"]


TRAIN = ["--steps", 2, "--batch_size", 2, "--warmup_steps", 0, "--workers", 0, "--precision", "float32"]


def test_train(run, tmp_path):
    shapes = ["--shapes.size_hw", "48x64", "--model.width", "0.125"]
    found, said = run("train", tmp_path / "run", *TRAIN, *shapes)
    assert "step 2: ap_clean 0." in said
    assert found["weights"] == str(tmp_path / "run" / "best.safetensors")
    [validation] = found["validations"]
    assert (validation["step"], validation["images"]) == (2, 4)
    [training] = found["training"]
    assert (training["step"], training["images"]) == (2, 4)
    assert training["measures"]["loss"] > 0
    line = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()][-1]
    for name, value in validation["measures"].items():
        assert value == line[name]


@pytest.mark.slow
def test_finetune(run, folder, weights, tmp_path, monkeypatch):
    monkeypatch.setattr(hpatches_writer, "VIEWS", 1)
    monkeypatch.setattr(finetune, "METHODS", ("orb",))
    words = ["--adaptation.count", 2, "--adaptation.precision", "float32", "--joint.views.size_hw", "48x64"]
    words += ["--joint.descriptor_points", 32, *TRAIN[:4], *TRAIN[6:]]
    found, said = run("finetune", folder / "images", "--out", tmp_path / "run", *words, *weights)
    assert found["weights"] == str(tmp_path / "run" / "best.safetensors")
    assert found["start"] == str(folder / "w.safetensors")
    assert found["evaluation"] == json.loads((tmp_path / "run" / "evaluation" / "homography.json").read_text())
    [only] = found["rounds"]
    assert only["labels"] == json.loads((tmp_path / "run" / "labels_1.json").read_text())
    assert found["verdicts"][0].startswith("WARNING, 2 pairs")
    # The stages are told on the standard error, as they come.
    stages = re.findall(r"^.*/run/(\w+)(?:\.h5)?: ", said, re.MULTILINE)
    assert list(dict.fromkeys(stages)) == ["labels_1", "sheets_1", "round_1", "pairs", "evaluation"]
    assert "images labelled      3 (0 skipped" in said
