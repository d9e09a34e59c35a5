"""What files say of themselves, and the line for those that say nothing."""

import contextlib
import json
import os

import cv2
import numpy as np
import pytest
import torch

from magicpoint import (
    AdaptationSettings,
    DecodeSettings,
    Extractor,
    adapt_images,
    extract_images,
    match_images,
    read_info,
    track_video,
)
from magicpoint.cli import main
from magicpoint.core.errors import InputError, MagicpointError
from magicpoint.export.formats import export_model
from magicpoint.jobs.scene_files import generate_scenes
from magicpoint.model.weights import shipped_weights
from magicpoint.planar.scenes import SceneSettings
from magicpoint.planar.settings import SceneFilesSettings
from synthetic_shapes import DatasetSettings, ShapeSettings, generate_dataset


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A file of each kind that is quickly written."""
    folder = tmp_path_factory.mktemp("info")
    (folder / "images").mkdir()
    noise = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (48, 64)).astype(np.uint8), (0, 0), 1.5)
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(folder / "images" / name), noise)
    extractor = Extractor.load("superpoint-tiny", DecodeSettings(threshold=0.001), "cpu")
    extract_images([folder / "images"], folder / "features.h5", extractor, progress=False)
    adapt_images([folder / "images"], folder / "labels.h5", extractor, AdaptationSettings(2), progress=False)
    match_images(folder / "images" / "a.png", folder / "images" / "b.png", extractor, folder / "matches.png")
    match_images(folder / "images" / "a.png", folder / "images" / "b.png", extractor, folder / "matches.csv")
    track_video(folder / "images", folder / "tracks.avi", extractor, table=folder / "tracks.csv", progress=False)
    shapes = ShapeSettings(size_hw=(48, 64))
    generate_dataset(folder / "shapes", DatasetSettings(1, 1, 1, shapes=shapes), 1, progress=False)
    scenes = SceneFilesSettings(count=1, boards=2, scenes=SceneSettings((48, 64), shorter_side=(20.0, 40.0)))
    generate_scenes(folder / "scenes", settings=scenes, progress=False)
    export_model(extractor.model, folder / "network.onnx", settings=extractor.settings)
    return folder


KINDS = {
    "features.h5": ("feature file", {"weights": "superpoint-tiny", "records": 2, "skipped": 0, "range": "auto"}),
    "labels.h5": ("label file", {"weights": "superpoint-tiny", "records": 2}),
    "labels.json": ("report of labels", {"images": 2}),
    "shapes": ("folder of a dataset", {}),
    "shapes/dataset.json": ("dataset of shapes", {"splits": {"training": 1, "validation": 1, "test": 1}}),
    "matches.csv": ("table of matches", {}),
    "tracks.csv": ("table of tracks", {}),
    "tracks.avi": ("video of tracks or finds", {}),
    "scenes": ("folder of scenes, of which scenes.json: rendered scenes", {}),
    "network.onnx": ("ONNX export", {"kind": "dense"}),
}


@pytest.mark.parametrize("name", KINDS)
def test_files_say_what_they_are(written, name):
    if name.endswith(".onnx"):
        pytest.importorskip("onnx")
    kind, values = KINDS[name]
    info = read_info(str(written / name))
    assert info.kind.startswith(kind)
    assert {key: info.provenance.get(key) for key in values} == values


def test_weights_say_their_run_and_a_run_those_of_its_best(tmp_path):
    info = read_info(shipped_weights("superpoint-tiny").path)
    assert info.kind == "weights"
    assert "settings" in info.provenance["provenance"]
    (tmp_path / "best.safetensors").write_bytes(shipped_weights("superpoint-tiny").path.read_bytes())
    (tmp_path / "settings.yaml").write_text("steps: 7\n", encoding="utf-8")
    run = read_info(tmp_path)
    assert run.kind == "folder of a run, of which best.safetensors: weights"
    assert run.provenance["settings.yaml"] == "steps: 7"
    assert read_info(tmp_path / "settings.yaml").kind == "settings"


def test_a_folder_of_finds_says_where_they_come_from(tmp_path):
    content = {"templates": {"cover": [40, 60]}, "settings": {}, "provenance": {"weights_hash": "ab"}, "found": []}
    (tmp_path / "a.json").write_text('{"nothing": "of ours"}')
    (tmp_path / "b.jpg.json").write_text(json.dumps(content))
    (tmp_path / "c.json").mkdir()
    info = read_info(tmp_path)
    assert info.kind == "folder of finds, of which b.jpg.json: templates that were found"
    assert info.provenance["provenance"] == {"weights_hash": "ab"}


FOREIGN = {
    "empty": b"",
    "text": b"hello",
    "json": b'{"a": 1}',
    "broken_json": b'{"a": ',
    "deep_json": b'{"methods":' + b"[" * 100_000,
    "json_list": b"[1, 2]",
    "not_finite": b'{"methods": NaN, "versions": Infinity}',
    "no_utf8": b'{"\xff\xfe": 1}',
    "png": b"\x89PNG\r\n\x1a\n" + bytes(100),
    "hdf5": b"\x89HDF\r\n\x1a\n" + bytes(100),
    "zip": b"PK\x03\x04" + bytes(100),
    "safetensors": (40).to_bytes(8, "little") + b'{"__metadata__": {"format": "pt"}}      ',
    "broken_safetensors": (2**40).to_bytes(8, "little") + b"{",
    "x.onnx": b"\x08\x07" + bytes(100),
    "noise": np.random.default_rng(0).bytes(1000),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_file_is_refused_in_one_line(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(FOREIGN[name])
    if name == "not_finite":  # by its names an evaluation
        assert read_info(path).kind == "evaluation"
        return
    with pytest.raises(MagicpointError, match=name) as error:
        read_info(path)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("name", ["features.h5", "labels.h5", "network.onnx", "labels.json", "shapes/dataset.json"])
def test_damaged_files_are_read_or_refused(written, tmp_path, name):
    whole = (written / name).read_bytes()
    rng = np.random.default_rng(0)
    for number in range(20):
        data = bytearray(whole[: int(rng.integers(1, len(whole)))] if number % 2 else whole)
        for place in rng.integers(0, min(len(data), 2000), 4):
            data[place] = rng.integers(0, 256)
        path = tmp_path / f"x{os.path.splitext(name)[1]}"
        path.write_bytes(data)
        with contextlib.suppress(MagicpointError):
            read_info(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no pipes")
def test_pipes_empty_folders_and_nothing_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name, said in (("pipe", "no file but a pipe"), (".", "a folder with nothing that magicpoint writes")):
        with pytest.raises(InputError, match=said):
            read_info(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        read_info(tmp_path / "missing")


def test_the_verb_shows_all_that_it_can_and_names_the_rest(written, capsys):
    assert main(["info", str(written / "features.h5"), str(written / "images")]) == 1
    shown = capsys.readouterr()
    assert "features.h5: feature file\n  " in shown.out
    assert shown.err.startswith("magicpoint: ")
    assert "images is a folder with nothing" in shown.err
    assert main(["info", str(written / "labels.h5"), "--json"]) == 0
    [info] = json.loads(capsys.readouterr().out)["files"]
    assert (info["kind"], info["provenance"]["records"]) == ("label file", 2)


def test_a_state_says_its_step(tmp_path):
    torch.save({"step": "no state"}, tmp_path / "last.state")
    with pytest.raises(InputError, match=r"last\.state"):
        read_info(tmp_path / "last.state")
