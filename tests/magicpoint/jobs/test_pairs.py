"""Matching the images of a file of features: as each pair alone, resumed after any stop, refused where it must be."""

import contextlib
import json
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from magicpoint.cli import main
from magicpoint.core.errors import InputError
from magicpoint.core.types import Features, Matches
from magicpoint.interop.hloc import write_hloc_features
from magicpoint.io.features import write_features
from magicpoint.io.matches import read_matches
from magicpoint.io.pairs import exhaustive_pairs
from magicpoint.jobs import pairs as job
from magicpoint.jobs.pairs import match_pairs
from magicpoint.matching.nearest import match_features
from magicpoint.matching.settings import GeometrySettings, MatchSettings

KEYS = ["a.png", "b/1.png", "b/2.png", "c.png"]
K = np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]])


def some_features(shift, count=60):
    """A pattern of keypoints, moved sideways, and their descriptors, of which the last are other ones."""
    generator = torch.Generator().manual_seed(0)
    keypoints = torch.rand(count, 2, generator=generator) * 400 + 100
    descriptors = torch.randn(count, 16, generator=generator)
    generator.manual_seed(1 + shift)
    descriptors[-10:] = torch.randn(10, 16, generator=generator)
    keypoints, descriptors = keypoints + torch.tensor([shift, 0]), F.normalize(descriptors, dim=1)
    return Features(keypoints, torch.ones(count), descriptors, (640, 480))


@pytest.fixture
def features():
    return {key: some_features(number) for number, key in enumerate(KEYS)}


@pytest.fixture
def path(features, tmp_path):
    return write_features(tmp_path / "f.h5", features, {"weights": "ours"})


def test_each_pair_is_matched_as_it_is_alone(path, features, tmp_path):
    settings = MatchSettings(ratio=0.9)
    result = match_pairs(path, exhaustive_pairs(features), tmp_path / "m.h5", settings, progress=False)
    assert (result.images, result.pairs, result.kept, result.without, result.agreeing) == (4, 6, 0, 0, None)
    found = read_matches(tmp_path / "m.h5")
    assert list(found) == exhaustive_pairs(features)
    for pair, record in found.items():
        expected = match_features(*(features[key] for key in pair), settings)
        assert torch.equal(record.matches.matches01, expected.matches01)
        assert torch.equal(record.matches.scores, expected.scores)
        assert (record.keypoint_counts, record.geometry) == ((60, 60), None)
    assert result.matches == sum(len(record.matches) for record in found.values()) >= 6 * 50
    assert json.loads(found.provenance["features"]) == {"weights": "ours"}
    assert json.loads(found.provenance["match"])["ratio"] == 0.9


@pytest.mark.parametrize("model", ["homography", "fundamental", "essential"])
def test_what_each_pair_agrees_on_is_written(path, tmp_path, model):
    cameras = dict.fromkeys(KEYS, K) if model == "essential" else None
    pair = ("c.png", "a.png")
    result = match_pairs(path, [pair], tmp_path / "m.h5", None, GeometrySettings(model), cameras, progress=False)
    found = read_matches(tmp_path / "m.h5")[pair].geometry
    assert (result.agreeing, found.model) == (1, model)
    assert found.inliers.sum() >= 50
    if model == "homography":
        np.testing.assert_allclose(found.matrix, [[1, 0, -3], [0, 1, 0], [0, 0, 1]], atol=0.01)


def test_nothing_is_matched_again_unless_it_changed(path, features, tmp_path, monkeypatch):
    out, pairs = tmp_path / "m.h5", exhaustive_pairs(features)
    match_pairs(path, pairs, out, progress=False)
    before = out.read_bytes()
    matched = []
    monkeypatch.setattr(job, "match_features", lambda *args: matched.append(1) or match_features(*args))
    assert match_pairs(path, pairs, out, progress=False).kept == 6
    assert (matched, out.read_bytes()) == ([], before)
    write_features(path, {**features, "c.png": some_features(9)}, {"weights": "ours"})
    assert match_pairs(path, pairs, out, progress=False).kept == len(pairs) - len(matched) == 3


def test_a_file_of_other_features_or_settings_is_not_replaced(path, features, tmp_path):
    out, pairs = tmp_path / "m.h5", exhaustive_pairs(features)
    match_pairs(path, pairs, out, progress=False)
    before = out.read_bytes()
    with pytest.raises(InputError, match=r"match\.ratio"):
        match_pairs(path, pairs, out, MatchSettings(ratio=0.8), progress=False)
    with pytest.raises(InputError, match="geometry"):
        match_pairs(path, pairs, out, None, GeometrySettings("fundamental"), progress=False)
    write_features(path, features, {"weights": "theirs"})
    with pytest.raises(InputError, match=r"features\.weights ours, now theirs"):
        match_pairs(path, pairs, out, progress=False)
    assert out.read_bytes() == before


def test_hloc_gets_its_groups_and_its_features_are_read(features, tmp_path):
    path = write_hloc_features(tmp_path / "f.h5", features)
    result = match_pairs(path, exhaustive_pairs(features), tmp_path / "m.h5", layout="hloc", progress=False)
    with h5py.File(tmp_path / "m.h5") as file:
        partners = file["b-1.png/b-2.png/matches0"][()]
        assert partners.dtype == np.int16
        assert (partners[:50] == np.arange(50)).all()
        assert file["a.png/b-1.png/matching_scores0"].shape == (60,)
    again = match_pairs(path, exhaustive_pairs(features), tmp_path / "m.h5", layout="hloc", progress=False)
    assert (again.kept, again.matches) == (6, result.matches)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"pairs": []}, "no pair to match"),
        ({"pairs": [("a.png", "x.png")]}, r"no features of x\.png"),
        ({"pairs": [("a.png", "a.png")]}, "matched with itself"),
        ({"pairs": [("a.png", "c.png"), ("c.png", "a.png")]}, "is there twice"),
        ({"geometry": GeometrySettings("essential")}, "needs intrinsics"),
        ({"geometry": GeometrySettings("essential"), "intrinsics": {"a.png": K}}, "intrinsics of c.png are missing"),
        ({"intrinsics": {"a.png": K, "c.png": K}}, "nothing else takes them"),
        ({"geometry": GeometrySettings(), "layout": "hloc"}, "no place for a geometry"),
    ],
)
def test_what_cannot_be_done_is_refused_before_the_work(path, tmp_path, arguments, said):
    with pytest.raises(InputError, match=said):
        match_pairs(path, out=tmp_path / "m.h5", progress=False, **({"pairs": [("a.png", "c.png")]} | arguments))
    assert not (tmp_path / "m.h5").exists()


def test_names_that_hloc_mixes_up_and_detectors_are_refused(tmp_path):
    mixed = {key: some_features(0) for key in ("a/b", "a-b", "c")}
    path = write_features(tmp_path / "f.h5", mixed)
    with pytest.raises(InputError, match="the same name"):
        match_pairs(path, [("a/b", "c"), ("a-b", "c")], tmp_path / "m.h5", layout="hloc", progress=False)
    bare = Features(torch.zeros(2, 2), torch.ones(2), None, (8, 8))
    path = write_features(tmp_path / "g.h5", {"a": bare, "b": bare})
    with pytest.raises(InputError, match="needs descriptors"):
        match_pairs(path, [("a", "b")], tmp_path / "m.h5", progress=False)


def test_the_command_does_the_same(path, tmp_path, capsys):
    (tmp_path / "pairs.txt").write_text("c.png b/2.png\na.png c.png\n")
    words = ["match", str(path), "--out", str(tmp_path / "m.h5"), "--json"]
    assert main([*words, "--pairs", str(tmp_path / "pairs.txt"), "--model", "fundamental"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["pairs"], found["agreeing"], found["images"]) == (2, 2, 3)
    assert list(read_matches(tmp_path / "m.h5")) == [("c.png", "b/2.png"), ("a.png", "c.png")]
    for options, count in ((["--exhaustive"], 6), (["--sequential", "1"], 3)):
        out = str(tmp_path / f"{count}.h5")
        assert main(["match", str(path), "--out", out, *options]) == 0
        assert f"of {count} pairs of 4 images" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--out", "m.h5"], "one of --pairs FILE, --exhaustive and --sequential K is needed, got none"),
        (["--out", "m.h5", "--exhaustive", "--sequential", "2"], "got exhaustive and sequential"),
        (["--exhaustive"], "--out is needed"),
        (["--out", "m.h5", "--exhaustive", "--max_keypoints", "9"], "--max_keypoints is for two images"),
        (["--out", "m.h5", "--exhaustive", "--solver", "poselib"], "--solver needs --model"),
        (["x.png", "y.png"], "two images, or one file of features, got y.png and 2 more"),
        (["x.png", "--exhaustive"], "--exhaustive is for a file of features"),
    ],
)
def test_options_of_the_other_form_are_refused(path, tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as error:
        main(["match", "f.h5", *words])
    assert error.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_killed_run_goes_on_and_ends_the_same(path, features, tmp_path, monkeypatch):
    many = {f"{number:03d}.png": some_features(number) for number in range(12)}
    path = write_features(tmp_path / "many.h5", many)
    out = tmp_path / "m.h5"
    code = (
        "import sys, time\nfrom magicpoint.jobs import pairs\nslow = pairs.match_features\n"
        "def match(*arguments):\n    time.sleep(0.05)\n    return slow(*arguments)\n"
        "pairs.match_features = match\nfrom magicpoint.io.pairs import exhaustive_pairs\n"
        "keys = list(pairs.open_features(sys.argv[1]))\n"
        "pairs.match_pairs(sys.argv[1], exhaustive_pairs(keys), sys.argv[2], progress=False)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(path), str(out)])
    while not list(tmp_path.glob("m.h5.partial/*.h5")):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not out.exists()
    result = match_pairs(path, exhaustive_pairs(many), out, progress=False)
    assert 0 < result.kept < result.pairs == 66
    match_pairs(path, exhaustive_pairs(many), tmp_path / "whole.h5", progress=False)
    assert out.read_bytes() == (tmp_path / "whole.h5").read_bytes()


class Odd:
    """A matcher that matches every second keypoint with its like."""

    def __init__(self, name):
        self.provenance = {"matcher": name}

    def match(self, features0, features1):
        index = torch.arange(0, min(len(features0), len(features1)), 2)
        return Matches(torch.stack((index, index), dim=1), torch.ones(len(index)))


def test_a_matcher_matches_the_pairs_and_is_named(path, features, tmp_path):
    pairs = exhaustive_pairs(features)
    match_pairs(path, pairs, tmp_path / "m.h5", Odd("first"), progress=False)
    found = read_matches(tmp_path / "m.h5")
    assert json.loads(found.provenance["match"]) == {"matcher": "first"}
    assert found[pairs[0]].matches.matches01[:2].tolist() == [[0, 0], [2, 2]]
    assert match_pairs(path, pairs, tmp_path / "m.h5", Odd("first"), progress=False).kept == 6
    with pytest.raises(InputError, match="second"):
        match_pairs(path, pairs, tmp_path / "m.h5", Odd("second"), progress=False)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--min_score", "0.5"], "--min_score is of a learned matcher, and --matcher is nearest"),
        (["--matcher", "learned", "--ratio", "0.8"], "--ratio is of --matcher nearest, and --matcher is learned"),
        (["--matcher", "learned"], "--matcher learned needs to know the features' weights"),
        (["--matcher", "nowhere"], "no matcher nowhere: neither a file"),
    ],
)
def test_a_matcher_that_cannot_be_is_refused(path, tmp_path, capsys, words, said):
    with contextlib.suppress(SystemExit):  # as an unusable argument ends
        assert main(["match", str(path), "--exhaustive", "--out", str(tmp_path / "m.h5"), *words]) == 1
    assert said in capsys.readouterr().err
