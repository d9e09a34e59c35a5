import dataclasses

import h5py
import numpy as np
import pytest
import torch

from magicpoint.core.types import Features
from magicpoint.io import unfinished
from magicpoint.io.features import read_features, write_features
from magicpoint.io.labels import LABELS
from magicpoint.io.records import check_key
from magicpoint.io.unfinished import UnfinishedFeatures, UnfinishedRecords


def features(count, seed=0, dim=16):
    generator = torch.Generator().manual_seed(seed)
    points, scores = torch.rand(count, 2, generator=generator) * 30, torch.rand(count, generator=generator)
    descriptors = torch.randn(count, dim, generator=generator) if dim else None
    return Features(points, scores, descriptors, (31 + seed, 32))


def assert_same(first, second):
    assert first.image_size == second.image_size
    assert torch.equal(first.keypoints, second.keypoints)
    assert torch.equal(first.keypoint_scores, second.keypoint_scores)
    assert (first.descriptors is None) == (second.descriptors is None)
    assert first.descriptors is None or torch.equal(first.descriptors, second.descriptors)


def test_round_trip(tmp_path):
    images = {"a.png": features(5), "sub/deep/é图.jpg": features(3, 1), "b.png": features(0, 2), "c": features(2, 3, 0)}
    path = write_features(tmp_path / "new" / "f.h5", images, {"weights": "w"}, {"a.png": "12"})
    found = read_features(path)
    assert sorted(found) == sorted(images)
    assert len(found) == 4
    assert found.provenance == {"weights": "w"}
    assert found.skipped == {}
    assert [found.digest(key) for key in ("a.png", "b.png")] == ["12", None]
    for key, image in images.items():
        assert_same(found[key], image)
    assert "sub" not in found
    with pytest.raises(KeyError):
        found["sub"]


def test_the_scales_of_keypoints_come_back(tmp_path):
    scales = torch.tensor([1.0, 2.0, 4.0])
    image = dataclasses.replace(features(3), keypoint_scales=scales)
    found = read_features(write_features(tmp_path / "f.h5", {"a": image, "b": features(2)}))
    assert torch.equal(found["a"].keypoint_scales, scales)
    assert found["b"].keypoint_scales is None
    with pytest.raises(ValueError, match=r"keypoint_scales must have shape \(3,\), got \(2,\)"):
        dataclasses.replace(features(3), keypoint_scales=scales[:2])


def test_the_layout_is_the_documented_one(tmp_path):
    image = features(5)
    with h5py.File(write_features(tmp_path / "f.h5", {"s/a.png": image})) as file:
        assert file.attrs["format"] == "magicpoint-features-2"
        group = file["s/a.png"]
        assert group.attrs["image_size"].tolist() == [31, 32]
        assert {name: (data.shape, data.dtype) for name, data in group.items()} == {
            "keypoints": ((5, 2), np.float32),
            "keypoint_scores": ((5,), np.float32),
            "descriptors": ((5, 16), np.float32),
        }


UNSAFE = ["", "/", "/a.png", "../a.png", "a/../../b.png", "a/..", "..", ".", "./a", "a//b", "a/", "C:/a", "C:a", "a\0b"]


@pytest.mark.parametrize("key", [*UNSAFE, "..\\a.png", "\\a.png", "a\udcff.png"])
def test_unsafe_keys_are_not_written(tmp_path, key):
    with pytest.raises(ValueError, match="unsafe image key"):
        write_features(tmp_path / "f.h5", {key: features(1)})
    assert not (tmp_path / "f.h5").exists()


@pytest.mark.parametrize("key", ["a.png", "a/b..png", ".../a", "..a", "a b/ü.png"])
def test_ordinary_keys_stay(key):
    assert check_key(key) == key


def test_backslashes_become_slashes(tmp_path):
    assert list(read_features(write_features(tmp_path / "f.h5", {"a\\b.png": features(1)}))) == ["a/b.png"]
    with pytest.raises(ValueError, match="must differ"):
        write_features(tmp_path / "f.h5", {"a\\b.png": features(1), "a/b.png": features(1)})


def test_a_key_that_is_a_folder_of_another_is_refused(tmp_path):
    with pytest.raises(ValueError, match="folder of another"):
        write_features(tmp_path / "f.h5", {"a": features(1), "a/keypoints": features(1)})


def test_damaged_files_are_named(tmp_path):
    path = write_features(tmp_path / "f.h5", {"a": features(50)})
    content = path.read_bytes()
    for damaged in (content[: len(content) // 2], b"", b"text"):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"f\.h5 is damaged or no feature file"):
            read_features(path)
    with h5py.File(path, "w") as file:
        file.attrs["format"] = "another"
    with pytest.raises(ValueError, match=r"f\.h5.*format magicpoint-features-2"):
        read_features(path)
    with pytest.raises(FileNotFoundError, match="missing"):
        read_features(tmp_path / "missing.h5")


def test_images_may_be_named_as_the_datasets(tmp_path):
    found = read_features(write_features(tmp_path / "f.h5", {"keypoints": features(1), "a/keypoints": features(2)}))
    assert {key: len(image) for key, image in found.items()} == {"keypoints": 1, "a/keypoints": 2}


def test_an_unfinished_file_is_taken_up_again(tmp_path, monkeypatch):
    monkeypatch.setattr(unfinished, "_PART_LENGTH", 2)
    out, source = tmp_path / "f.h5", {"weights": "w"}
    images = {f"s/{number}.png": features(number, number) for number in range(5)}
    first = UnfinishedFeatures(out, source)
    for key in list(images)[:3]:
        first.add(key, images[key], key)
    # The process is killed here: two images have been kept, the third has not.
    assert not out.exists()
    second = UnfinishedFeatures(out, source)
    assert [second.get(key, key) is not None for key in images] == [True, True, False, False, False]
    assert second.get("s/0.png", "another file of that name") is None
    for key in list(images)[2:]:
        second.add(key, images[key], key)
    changed = features(9, 9)
    second.add("s/1.png", changed, "changed")
    assert second.finish(list(images), {"bad": "why"}) == out
    assert [entry.name for entry in tmp_path.iterdir()] == ["f.h5"]
    found = read_features(out)
    assert (found.provenance, found.skipped) == (source, {"bad": "why"})
    assert [found.digest(key) for key in ("s/0.png", "s/1.png", "s/4.png")] == ["s/0.png", "changed", "s/4.png"]
    for key, image in (images | {"s/1.png": changed}).items():
        assert_same(found[key], image)


def test_an_unfinished_file_of_other_weights_is_left_alone(tmp_path):
    first = UnfinishedFeatures(tmp_path / "f.h5", {"weights": "w"})
    first.add("a", features(1), "")
    first.save()
    with pytest.raises(ValueError, match=r"f\.h5\.partial was begun with other weights"):
        UnfinishedFeatures(tmp_path / "f.h5", {"weights": "v"})
    assert UnfinishedFeatures(tmp_path / "f.h5", {"weights": "w"}).get("a", "") is not None
    with pytest.raises(IsADirectoryError):
        UnfinishedFeatures(tmp_path, {})


def test_a_finished_file_of_other_settings_is_left_alone_and_they_are_named(tmp_path):
    source = {"weights": "w", "weights_hash": "1e5", "decode": '{"threshold": 0.5, "border": 4}'}
    path = write_features(tmp_path / "f.h5", {"a": features(1)}, source)
    content = path.read_bytes()
    for other, named in (
        ({"decode": '{"threshold": 0.25, "border": 4}'}, r"decode\.threshold 0\.5, now 0\.25"),
        ({"decode": '{"threshold": 0.5}', "weights": "v"}, r"decode\.border 4, now unset, weights w, now v"),
        ({"weights_hash": "100000.0"}, r"weights_hash 1e5, now 100000\.0"),
        ({"network": "int8"}, r"network unset, now int8"),
    ):
        message = rf"f\.h5 was made with other weights, settings or versions \({named}\): remove it, or choose another"
        with pytest.raises(ValueError, match=message):
            UnfinishedFeatures(path, source | other)
    assert path.read_bytes() == content
    assert [entry.name for entry in tmp_path.iterdir()] == ["f.h5"]


def test_a_file_of_another_kind_is_left_alone(tmp_path):
    path = tmp_path / "photograph.jpg"
    path.write_bytes(b"no features")
    with pytest.raises(ValueError, match=r"photograph\.jpg is damaged or no feature file.*it is not replaced: "):
        UnfinishedFeatures(path, {})
    with pytest.raises(ValueError, match=r"no label file: .*magicpoint-labels-2; it is not replaced"):
        UnfinishedRecords(write_features(tmp_path / "f.h5", {}), LABELS, {})
    assert path.read_bytes() == b"no features"


def test_a_finished_file_of_the_same_settings_stays_until_the_new_one_is_complete(tmp_path):
    path, source = tmp_path / "f.h5", {"decode": '{"threshold": 0.5, "border": 4}'}
    write_features(path, {"a": features(1)}, source, {"a": "12"})
    unfinished = UnfinishedFeatures(path, {"decode": '{"border": 4, "threshold": 0.5}'})
    unfinished.add("a", features(2), "34")
    unfinished.save()
    assert (len(read_features(path)["a"]), unfinished.earlier.digest("a")) == (1, "12")
    unfinished.finish(["a"], {})
    assert len(read_features(path)["a"]) == 2


def test_only_what_was_asked_for_is_kept_in_the_end_and_long_lists_of_skipped_images_fit(tmp_path):
    unfinished = UnfinishedFeatures(tmp_path / "f.h5", {})
    unfinished.add("a", features(1), "")
    unfinished.add("b", features(1), "")
    skipped = {f"{number}.png": "reason " * 20 for number in range(2000)}
    found = read_features(unfinished.finish(["b"], skipped))
    assert list(found) == ["b"]
    assert found.skipped == skipped
