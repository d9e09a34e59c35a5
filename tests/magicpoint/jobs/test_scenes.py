"""Scenes written to a folder, and methods measured on scenes, by the command line."""

import json

import numpy as np
import pytest
import torch

from magicpoint.cli import main
from magicpoint.io.images import read_image
from magicpoint.jobs.scene_files import generate_scenes
from magicpoint.jobs.scenes import evaluate_scenes
from magicpoint.model.weights import save_weights
from magicpoint.planar.evaluation import ScenesProtocol
from magicpoint.planar.model import QuadNetwork
from magicpoint.planar.scenes import SceneSettings, SceneStream, draw_boards
from magicpoint.planar.settings import QuadModelSettings, SceneFilesSettings

SMALL = SceneSettings((64, 96), shorter_side=(20.0, 40.0))


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_scenes_are_written_as_they_are_and_completed(tmp_path):
    settings = SceneFilesSettings(3, 4, boards=2, scenes=SMALL)
    manifest = generate_scenes(tmp_path / "a", settings=settings, progress=False)
    scene = SceneStream(draw_boards(2), (), 4, SMALL, "files")[1]
    np.testing.assert_array_equal(np.rint(read_image(tmp_path / "a/images/000001.png") * 255), scene.image)
    labels = json.loads((tmp_path / "a/labels/000001.json").read_text())
    np.testing.assert_allclose([each["corners"] for each in labels], scene.corners, atol=1e-4)
    assert [each["template"] for each in labels] == [f"board {number}" for number in scene.templates]
    assert json.loads(manifest.read_text())["digest"]
    whole = files(tmp_path / "a")
    (tmp_path / "a/images/000002.png").unlink()
    generate_scenes(tmp_path / "a", settings=settings, progress=False)
    assert files(tmp_path / "a") == whole
    generate_scenes(tmp_path / "a", settings=SceneFilesSettings(4, 4, boards=2, scenes=SMALL), progress=False)
    assert len(files(tmp_path / "a")) == len(whole) + 2


@pytest.mark.parametrize("changes", [{"seed": 5}, {"boards": 3}])
def test_a_folder_of_other_scenes_is_left_alone(tmp_path, changes):
    generate_scenes(tmp_path, settings=SceneFilesSettings(1, 4, boards=2, scenes=SMALL), progress=False)
    other = SceneFilesSettings(**{"count": 1, "seed": 4, "boards": 2, "scenes": SMALL, **changes})
    with pytest.raises(ValueError, match="holds scenes of other"):
        generate_scenes(tmp_path, settings=other, progress=False)


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"holds mine\.txt"):
        generate_scenes(tmp_path, settings=SceneFilesSettings(1, boards=1, scenes=SMALL), progress=False)
    assert main(["generate-scenes", str(tmp_path / "none")]) == 1  # without a template
    assert main(["generate-scenes", str(tmp_path / "b"), "--boards", "2", "--count", "1", "--quiet"]) == 0
    assert (tmp_path / "b/overlay.png").exists()


@pytest.fixture
def weights(tmp_path):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = QuadNetwork(QuadModelSettings(width=0.125, neck=8, proposals=4, pooled_side=3))
    return save_weights(tmp_path / "quads.safetensors", network, {})


@pytest.mark.slow
def test_an_evaluation_is_a_table_a_file_and_pictures(tmp_path, weights, capsys):
    out = tmp_path / "out"
    words = ["evaluate", "--dataset", "scenes", "--weights", str(weights), "--out", str(out), "--scenes", "3"]
    assert main([*words, "--methods", "contours", "--quiet"]) == 0
    shown = capsys.readouterr().out
    assert "Rendered scenes: 3 of 240x320 with 32 templates before drawn backgrounds." in shown
    found = json.loads((out / "scenes.json").read_text())
    assert set(found["results"]) == {"quads.safetensors", "contours"}
    assert found["results"]["contours"]["groups"]["all that count"]["truth_count"] >= 0
    assert {path.name for path in out.glob("*.png")} == {
        f"scenes_{kind}.png" for kind in ("hits", "misses", "false_alarms", "sight")
    }
    assert main([*words, "--methods", "--quiet"]) == 0  # its own report may be replaced
    with pytest.raises(ValueError, match="unknown methods"):
        evaluate_scenes(weights, methods=["magic"])
    with pytest.raises(ValueError, match="count must be at least 1"):
        ScenesProtocol(count=0)


def test_its_options_belong_to_it(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["evaluate", "--templates", str(tmp_path), "--out", str(tmp_path / "out")])
    assert "of --dataset scenes" in capsys.readouterr().err
