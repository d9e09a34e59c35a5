"""The command line: what it accepts, what it says, what it leaves behind."""

import json

import cv2
import numpy as np
import pytest

from magicpoint.cli import main
from magicpoint.cli.parser import presets
from magicpoint.io.features import read_features
from synthetic_shapes import ShapesDataset

TINY = [
    "--model.width",
    "0.125",
    "--shapes.size_hw",
    "48x64",
    "--batch_size",
    "2",
    "--workers",
    "0",
    "--precision",
    "float32",
]


def test_generate_writes_what_was_asked_for(tmp_path, capsys):
    arguments = ["--count", "4", "--validation_count", "1", "--test_count", "0", "--seed", "3", "--size_hw", "48x64"]
    assert main(["generate", str(tmp_path / "d"), *arguments, "--shapes", "star", "cube", "--workers", "1"]) == 0
    dataset = ShapesDataset(tmp_path / "d", "training")
    assert len(dataset) == 4
    assert dataset[0][0].shape == (48, 64)
    assert json.loads((tmp_path / "d" / "dataset.json").read_text())["settings"]["shapes"]["shapes"] == ["star", "cube"]
    assert str(tmp_path / "d" / "dataset.json") in capsys.readouterr().out


def test_train_extract_and_resume(tmp_path, capsys):
    run = str(tmp_path / "run")
    assert main(["train", run, *TINY, "--steps", "2"]) == 0
    assert main(["train", run, *TINY, "--steps", "2"]) == 1
    assert "holds a run already" in capsys.readouterr().err
    # The run's own settings are the defaults of a resumed one.
    assert main(["train", run, "--resume", "--steps", "3"]) == 0
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == 3
    assert lines[-1]["images"] == 6

    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((20, 30), np.uint8))
    (tmp_path / "b.png").write_bytes(b"no image")
    out = tmp_path / "f.h5"
    images = [str(tmp_path / "a.png"), str(tmp_path / "b.png")]
    assert main(["extract", *images, "--out", str(out), "--weights", run, "--overlay", str(tmp_path / "o")]) == 0
    features = read_features(out)
    assert list(features) == ["a.png"]
    assert list(features.skipped) == ["b.png"]
    assert (tmp_path / "o" / "a.png").exists()


def test_missing_weights_are_named(tmp_path, capsys):
    for name in (str(tmp_path / "none.safetensors"), "nothing"):
        assert main(["evaluate", "--weights", name, "--out", str(tmp_path)]) == 1
        assert f"no weights {name}: neither" in capsys.readouterr().err


def test_a_shipped_name_is_not_taken_for_a_folder_of_that_name(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "magicpoint").mkdir()
    cv2.imwrite("a.png", np.zeros((20, 30), np.uint8))
    assert main(["extract", "a.png", "--out", "f.h5"]) == 0
    assert "0 keypoints in 1 images" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["train", "OUT", "--stepz", "3"], "stepz"),
        (["train", "OUT", "--steps", "many"], "steps"),
        (["generate", "OUT", "--shapes", "blob"], "blob"),
        (["fly"], "fly"),
    ],
)
def test_unusable_arguments_are_named(words, named, capsys):
    with pytest.raises(SystemExit) as error:
        main(words)
    assert error.value.code == 2
    assert named in capsys.readouterr().err


def test_an_unknown_key_in_a_settings_file_is_named(tmp_path, capsys):
    (tmp_path / "settings.yaml").write_text("model:\n  widht: 0.5\n")
    with pytest.raises(SystemExit):
        main(["train", str(tmp_path / "run"), "--config", str(tmp_path / "settings.yaml")])
    assert "widht" in capsys.readouterr().err


def test_the_presets_are_valid(tmp_path, capsys):
    assert {"demo", "magicpoint"} <= set(presets())
    for preset in presets():
        labelled = ["--images", "a", "--labels", "l.h5"] if preset.startswith("superpoint") else []
        assert main(["train", str(tmp_path), "--config", preset, "--print_config", *labelled]) == 0
        assert "learning_rate" in capsys.readouterr().out
