"""The verbs `match`, `track`, `export` and `finetune`: what they pass on, what they say, what they leave behind."""

import dataclasses
import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import magicpoint
from magicpoint.cli import main
from magicpoint.data.settings import ViewSettings
from magicpoint.jobs import match as match_job
from magicpoint.jobs.finetune import report as finetune_report
from magicpoint.jobs.finetune import run as finetune
from magicpoint.jobs.finetune.settings import FinetuneSettings
from magicpoint.matching.settings import GeometrySettings, MatchSettings
from magicpoint.model.network import MagicPoint, SuperPoint
from magicpoint.model.weights import save_weights
from magicpoint.pictures.canvas import LEGEND_HEIGHT
from magicpoint.training.tasks.settings import JointSettings


@pytest.fixture
def begun(monkeypatch):
    """The arguments with which each fine-tuning was begun, in place of fine-tuning."""
    seen = []
    monkeypatch.setattr(finetune, "finetune_images", lambda *arguments, progress: seen.append(arguments))
    for name in ("summarize_finetuning", "finetuning_as_plain"):
        monkeypatch.setattr(finetune_report, name, str)
    return seen


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Weights of a network of random peaks, and a texture twice."""
    folder = tmp_path_factory.mktemp("match")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = SuperPoint(0.125, descriptor_dim=16)
        with torch.no_grad():
            model.detector.layers[-1].weight.mul_(30)
            model.detector.layers[-1].bias.zero_()
            model.descriptor.layers[-1].bias.zero_()  # it makes all descriptors alike, to the last bits
        save_weights(folder / "w.safetensors", model, {})
        save_weights(folder / "detector.safetensors", MagicPoint(0.125), {})
    noise = np.random.default_rng(0).integers(0, 256, (160, 200)).astype(np.uint8)
    for name in ("a.png", "b.png"):
        assert cv2.imwrite(str(folder / name), cv2.equalizeHist(cv2.GaussianBlur(noise, (0, 0), 1.5)))
    return folder


def words(folder, weights="w.safetensors"):
    return ["match", str(folder / "a.png"), str(folder / "b.png"), "--weights", str(folder / weights)]


def test_an_image_matches_itself(folder, tmp_path, capsys):
    out = tmp_path / "new" / "m.png"
    assert main([*words(folder), "--out", str(out), "--threshold", "0", "--max_keypoints", "40"]) == 0
    printed = capsys.readouterr().out
    matches, keypoints0, keypoints1 = map(int, re.match(r"(\d+) matches of (\d+) and (\d+)", printed).groups())
    assert 10 < matches == keypoints0 == keypoints1 <= 40
    assert f"homography from image 0 to image 1, {matches} matches within 3 px" in printed
    assert printed.splitlines()[-1] == str(out)
    assert cv2.imread(str(out)).shape == (160 + LEGEND_HEIGHT, 200 + 8 + 200, 3)


def test_it_is_said_when_not_all_matches_are_drawn(folder, tmp_path, monkeypatch, capsys):
    arguments = [*words(folder), "--out", str(tmp_path / "m.png"), "--threshold", "0", "--max_keypoints", "40"]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert "drawn" not in printed
    matches = int(printed.split()[0])
    monkeypatch.setattr(match_job, "MOST_LINES", matches - 1)
    assert main(arguments) == 0
    assert f"{matches - 1} of {matches} matches are drawn" in capsys.readouterr().out


def test_no_image_is_replaced_by_the_picture(folder, tmp_path, capsys):
    before = (folder / "a.png").read_bytes()
    assert main([*words(folder), "--out", str(folder / "a.png")]) == 1
    assert f"would replace the image {folder / 'a.png'}" in capsys.readouterr().err
    assert (folder / "a.png").read_bytes() == before
    assert main([*words(folder), "--out", str(tmp_path / "m.jpg")]) == 1
    assert "a picture (.png) or data (.json, .csv, .h5)" in capsys.readouterr().err


def test_a_homography_on_which_few_agree_is_called_doubtful(folder, tmp_path, monkeypatch, capsys):
    arguments = [*words(folder), "--out", str(tmp_path / "m.png"), "--threshold", "0", "--max_keypoints", "40"]
    assert main(arguments) == 0
    assert "doubtful" not in capsys.readouterr().out
    monkeypatch.setitem(match_job.CHANCE, "homography", (8, 1.0))
    assert main(arguments) == 0
    assert "doubtful" in capsys.readouterr().out


def test_every_option_arrives(folder, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(match_job, "match_images", lambda *arguments: seen.extend(arguments))
    monkeypatch.setattr(match_job, "format_matching", str)
    monkeypatch.chdir(tmp_path)
    options = ["--mutual", "false", "--ratio", "0.9", "--min_similarity", "0.2", "--model_threshold", "2"]
    assert (
        main([*words(folder), *options, "--threshold", "0.1", "--max_keypoints", "7", "--nms_radius", "3", "--turns"])
        == 0
    )
    image0, image1, extractor, out, settings, geometry, intrinsics, turns = seen
    assert turns is True
    assert (image0.name, image1.name, str(out), intrinsics) == ("a.png", "b.png", "matches.png", None)
    assert geometry == GeometrySettings("homography", 2.0, "opencv")
    assert settings == MatchSettings(mutual=False, ratio=0.9, min_similarity=0.2)
    assert (extractor.settings.threshold, extractor.settings.max_keypoints, extractor.settings.nms_radius) == (
        0.1,
        7,
        3,
    )


def test_what_cannot_be_matched_is_explained(folder, tmp_path, capsys):
    out = ["--out", str(tmp_path / "m.png")]
    assert main([*words(folder, "detector.safetensors"), *out]) == 1
    assert "a detector such as MagicPoint gives none" in capsys.readouterr().err
    assert main(["match", str(folder / "a.png"), str(folder / "none.png"), *words(folder)[3:], *out]) == 1
    assert "none.png" in capsys.readouterr().err
    assert not (tmp_path / "m.png").exists()


def test_the_settings_of_finetune_arrive(folder, tmp_path, begun):
    arguments = ["finetune", str(folder / "a.png"), str(folder / "b.png"), "--out", str(tmp_path / "run")]
    assert main(arguments) == 0
    assert begun == [([folder / "a.png", folder / "b.png"], tmp_path / "run", FinetuneSettings(), None)]
    options = ["--rounds", "2", "--steps", "9", "--adaptation.count", "4", "--joint.views.size_hw", "48x64"]
    options += ["--students", "0.5", "0.25"]
    assert main([*arguments, *options]) == 0
    assert begun[1][2] == FinetuneSettings(
        rounds=2,
        students=(0.5, 0.25),
        steps=9,
        adaptation=dataclasses.replace(FinetuneSettings().adaptation, count=4),
        joint=JointSettings(views=ViewSettings((48, 64))),
    )


@pytest.mark.parametrize("verb", ["adapt", "match", "finetune"])
def test_the_verbs_explain_themselves(verb, capsys):
    with pytest.raises(SystemExit) as error:
        main([verb, "--help"])
    assert error.value.code == 0
    assert len(capsys.readouterr().out) > 400


def test_no_public_name_is_that_of_a_module():
    modules = {path.stem for path in Path(magicpoint.__file__).parent.glob("*.py")}
    assert modules.isdisjoint(magicpoint.__all__)


def test_frames_become_pictures_of_their_tracks(folder, tmp_path):
    words = ["track", str(folder / "?.png"), "--weights", str(folder / "w.safetensors"), "--threshold", "0"]
    assert main([*words, "--out", str(tmp_path / "tracks"), "--max_keypoints", "40"]) == 0
    assert [cv2.imread(str(path)).shape for path in sorted((tmp_path / "tracks").iterdir())] == [(160, 200, 3)] * 2


def test_a_video_is_not_replaced_by_its_tracks(folder, tmp_path, capsys):
    film = tmp_path / "film.mp4"
    film.write_bytes(b"film")
    assert main(["track", str(film), "--weights", str(folder / "w.safetensors"), "--out", str(film)]) == 1
    assert f"would replace the source {film}" in capsys.readouterr().err
    assert film.read_bytes() == b"film"


def test_a_folder_is_not_passed_over_where_shapes_are_rendered(folder, tmp_path, capsys):
    options = ["--weights", str(folder / "w.safetensors"), "--out", str(tmp_path / "e")]
    with pytest.raises(SystemExit) as error:
        main(["evaluate", str(folder), "--dataset", "synthetic", *options])
    assert error.value.code == 2
    assert f"{folder} is for --dataset homography" in capsys.readouterr().err
    # Without the option a folder is one of image pairs, which this is not.
    assert main(["evaluate", str(folder), *options]) == 1
    assert f"{folder} has no sequences" in capsys.readouterr().err


def test_a_network_is_exported(folder, tmp_path, capsys):
    words = ["export", "--weights", str(folder / "w.safetensors"), "--out", str(tmp_path / "w.onnx")]
    assert main([*words, "--kind", "keypoints"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(tmp_path / "w.onnx")
    assert (tmp_path / "w.onnx").stat().st_size > 10_000


def test_the_engine_of_the_options_runs_the_network(folder, tmp_path, capsys):
    options = ["extract", str(folder / "a.png"), "--weights", str(folder / "w.safetensors"), "--threshold", "0"]
    for number, engine in enumerate(([], ["--backend", "onnxruntime"], ["--precision", "bfloat16"])):
        out = tmp_path / f"{number}.h5"
        assert main([*options, *engine, "--out", str(out)]) == 0
        expected = ("onnxruntime", "float32") if number == 1 else ("torch", "bfloat16" if number else "float32")
        network = json.loads(magicpoint.read_features(out).provenance["network"])
        assert (network["backend"], network["precision"]) == expected


@pytest.mark.parametrize(("switch", "told"), [("averaged", "5/7, 1/1, 7/5"), ("cornerness", "5x5")])
def test_heatmaps_are_averaged_or_weighed_where_it_is_asked_for(switch, told, folder, tmp_path, capsys):
    """It is on record, so that a file of features that were found without is not gone on with."""
    options = ["extract", str(folder / "a.png"), "--weights", str(folder / "w.safetensors"), "--threshold", "0"]
    plain, other = tmp_path / "plain.h5", tmp_path / "other.h5"
    assert main([*options, "--out", str(plain)]) == 0
    assert main([*options, "--out", str(other), f"--{switch}"]) == 0
    found, switched = (magicpoint.read_features(out) for out in (plain, other))
    assert switched.provenance == {**found.provenance, switch: told}
    assert not torch.equal(found["a.png"].keypoints, switched["a.png"].keypoints)
    assert main([*options, "--out", str(plain), f"--{switch}"]) == 1
    assert f"{switch} unset, now {told}" in capsys.readouterr().err


@pytest.mark.parametrize("joined", [False, True])
def test_a_folder_that_was_begun_goes_on_with_its_settings(folder, tmp_path, begun, joined):
    (tmp_path / "settings.yaml").write_text("steps: 7\nstudents:\n- 0.5\nadaptation:\n  count: 4\n")
    out = [f"--out={tmp_path}"] if joined else ["--out", str(tmp_path)]
    assert main(["finetune", str(folder), *out, "--rounds", "2"]) == 0
    adaptation = dataclasses.replace(FinetuneSettings().adaptation, count=4)
    assert [settings for _, _, settings, _ in begun] == [
        FinetuneSettings(steps=7, rounds=2, students=(0.5,), adaptation=adaptation)
    ]
