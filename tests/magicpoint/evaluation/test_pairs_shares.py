"""An evaluation on image pairs in shares: joined it is, file by file, that of one process."""

import json
import shutil

import cv2
import numpy as np
import pytest

from homography import warp_image
from magicpoint import DecodeSettings
from magicpoint.cli import main
from magicpoint.core.locks import locked
from magicpoint.core.shards import Shard
from magicpoint.inference.extractor import Extractor
from magicpoint.jobs.evaluate import evaluate_pairs
from magicpoint.jobs.evaluate_shares import merge_evaluation

COUNT = 4
SCENES = ["i_0", "i_1", "v_2", "v_3", "v_4"]
METHODS = ("sift", "random")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    H = np.array([[0.95, -0.1, 12.0], [0.08, 1.02, -6.0], [2e-4, 1e-4, 1.0]])
    for seed, name in enumerate(SCENES):
        noise = np.random.default_rng(seed).integers(0, 256, (64, 80)).astype(np.uint8)
        image = cv2.equalizeHist(cv2.GaussianBlur(noise, (0, 0), 2.0))
        (folder / name).mkdir()
        views = {1: image, 2: warp_image(image, H) if name[0] == "v" else image // 2, 3: image // 4}
        for number, view in views.items():
            assert cv2.imwrite(str(folder / name / f"{number}.png"), view)
        np.savetxt(folder / name / "H_1_2", H if name[0] == "v" else np.eye(3))
        np.savetxt(folder / name / "H_1_3", np.eye(3))
    return folder


@pytest.fixture(scope="module")
def evaluate(dataset, random_network):
    network = Extractor(random_network(), DecodeSettings(threshold=0.001), device="cpu", weights="random")

    def evaluate(out, shard=None, methods=METHODS, folder=dataset):
        options = {"keypoints": [50], "progress": False, "shard": shard}
        return evaluate_pairs(folder, out, {"network": network}, methods, [], **options)

    return evaluate


@pytest.fixture(scope="module")
def one(evaluate, tmp_path_factory):
    folder = tmp_path_factory.mktemp("one")
    evaluate(folder)
    return folder


@pytest.fixture(scope="module")
def made(evaluate, tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    for number in range(2):
        evaluate(folder, Shard(number, 2))
    return folder


@pytest.fixture
def shares(made, tmp_path):
    return shutil.copytree(made, tmp_path / "shares")


def test_joined_shares_are_the_files_of_one_process(one, evaluate, tmp_path):
    found = [evaluate(tmp_path, Shard(number, COUNT)) for number in range(COUNT)]
    assert sorted(name for share in found for name in share.sequences) == SCENES
    assert any(not share.sequences for share in found)  # a share may have nothing to do
    for _ in range(2):  # also once more, into the same folder
        merge_evaluation(tmp_path, tmp_path)
    for path in one.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()
    told = [f"homography-{number:05d}-of-{COUNT:05d}.json" for number in range(COUNT)]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*told, *(path.name for path in one.iterdir())])


def test_the_digest_tells_the_images_apart(one):
    said = json.loads((one / "homography.json").read_text())
    assert len({scene["digest"] for scene in said["sequences"].values()}) == len(SCENES)


def test_a_share_that_is_missing_or_of_other_settings_is_named(shares, evaluate, dataset, tmp_path_factory):
    evaluate(shares, Shard(1, 2), methods=("sift",))
    with pytest.raises(
        ValueError, match=r"00000-of-00002.json and .*00001-of-00002.json were made with other .*random"
    ):
        merge_evaluation(shares, shares)
    fewer = tmp_path_factory.mktemp("fewer")
    for name in SCENES[:-1]:
        (fewer / name).symlink_to(dataset / name)
    evaluate(shares, Shard(1, 2), folder=fewer)
    with pytest.raises(ValueError, match=r"scenes in the first 5 with .*, in the second 4 with"):
        merge_evaluation(shares, shares)
    (shares / "homography-00000-of-00002.json").write_bytes((shares / "homography-00001-of-00002.json").read_bytes())
    with pytest.raises(ValueError, match=r"00000-of-00002\.json is damaged or not the share 0/2"):
        merge_evaluation(shares, shares)
    (shares / "homography-00001-of-00002.json").unlink()
    with pytest.raises(ValueError, match=r"lacks 1 of 2 shards \(homography-00001-of-00002\.json\): make them first"):
        merge_evaluation(shares, shares)


def test_a_share_is_written_by_one_process_and_replaces_its_own_alone(shares, evaluate):
    path = shares / "homography-00000-of-00002.json"
    before = path.read_bytes()
    evaluate(shares, Shard(0, 2))
    assert path.read_bytes() == before
    with locked(path), pytest.raises(ValueError, match="is being written by another process"):
        evaluate(shares, Shard(0, 2))
    path.write_text("mine")
    with pytest.raises(ValueError, match="not known as a share of an evaluation of these networks"):
        evaluate(shares, Shard(0, 2))


def test_the_command_line_has_shares_and_joins_them(dataset, tmp_path, capsys, monkeypatch):
    words = ["evaluate", str(dataset), "--weights", "superpoint-tiny", "--keypoints", "20", "--methods", "--quiet"]
    assert main([*words, "--out", str(tmp_path), "--shard", "0/2"]) == 0
    capsys.readouterr()
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main([*words, "--out", str(tmp_path)]) == 0
    assert "homography-00001-of-00002.json: " in capsys.readouterr().out
    assert main(["merge", str(tmp_path), "--out", str(tmp_path / "all")]) == 0
    assert "10 pairs of 5 scenes" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["evaluate", "--out", str(tmp_path / "shapes")])
    assert "several processes, are for --dataset homography, not synthetic" in capsys.readouterr().err
