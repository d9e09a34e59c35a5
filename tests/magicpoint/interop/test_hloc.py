"""hloc's files, read as its documentation says, and by its own functions where it is installed."""

import h5py
import numpy as np
import pytest
import torch
from PIL import Image as pillow
from torch.nn import functional as F

from magicpoint.cli import main
from magicpoint.core.errors import InputError
from magicpoint.core.types import Features, Matches
from magicpoint.decoding.settings import DecodeSettings
from magicpoint.inference.extractor import Extractor
from magicpoint.interop.hloc import read_hloc_features, write_hloc_features, write_hloc_matches
from magicpoint.jobs.extract import extract_images


def some_features(count, seed=0, dim=8, image_size=(4000, 3000)):
    generator = torch.Generator().manual_seed(seed)
    keypoints = torch.rand(count, 2, generator=generator) * torch.tensor(image_size)
    descriptors = F.normalize(torch.randn(count, dim, generator=generator), dim=1)
    return Features(keypoints, torch.rand(count, generator=generator), descriptors if dim else None, image_size)


def some_matches(*rows):
    pairs = torch.tensor([row[:2] for row in rows], dtype=torch.int64).view(-1, 2)
    return Matches(pairs, torch.tensor([row[2] for row in rows], dtype=torch.float32))


def matches_of(path, name0, name1):
    """The pairs (K, 2) and scores (K,), read by hloc's documented layout."""
    with h5py.File(path) as file:
        group = file["/".join(name.replace("/", "-") for name in (name0, name1))]
        partners, scores = group["matches0"][()], group["matching_scores0"][()]
    index0 = np.flatnonzero(partners >= 0)
    return np.stack((index0, partners[index0]), 1), scores[index0]


def test_a_feature_file_has_hlocs_datasets(tmp_path):
    # As many keypoints as numbers in a descriptor: the case in which the axes can be mistaken for each other.
    features = {"db/a.jpg": some_features(8), "b.jpg": some_features(0, 1)}
    path = write_hloc_features(tmp_path / "new" / "features.h5", features, {"weights": "superpoint"})
    with h5py.File(path) as file:
        group = file["db/a.jpg"]
        assert set(group) == {"keypoints", "scores", "descriptors", "image_size"}
        assert [group[name].dtype.name for name in ("keypoints", "scores", "descriptors")] == [
            "float32",
            "float32",
            "float16",
        ]
        np.testing.assert_array_equal(group["keypoints"], features["db/a.jpg"].keypoints)
        np.testing.assert_array_equal(group["scores"], features["db/a.jpg"].keypoint_scores)
        np.testing.assert_array_equal(group["descriptors"], features["db/a.jpg"].descriptors.half().T)
        assert group["image_size"][()].tolist() == [4000, 3000]
        assert group["keypoints"].attrs["uncertainty"] == 1.0
        assert file["b.jpg/descriptors"].shape == (8, 0)
        assert file.attrs["weights"] == "superpoint"


def test_the_features_come_back(tmp_path):
    features = {"a.jpg": some_features(20), "b.jpg": some_features(5, dim=0), "c.jpg": some_features(0)}
    found = read_hloc_features(write_hloc_features(tmp_path / "f.h5", features))
    assert list(found) == ["a.jpg", "b.jpg", "c.jpg"]
    for key, expected in features.items():
        assert torch.equal(found[key].keypoints, expected.keypoints)
        assert torch.equal(found[key].keypoint_scores, expected.keypoint_scores)
        assert found[key].image_size == expected.image_size
        if expected.descriptors is None:
            assert found[key].descriptors is None
        else:
            torch.testing.assert_close(found[key].descriptors, expected.descriptors, rtol=1e-3, atol=1e-4)


def test_features_of_an_image_that_hloc_sees_otherwise_are_refused(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(np.uint8)
    for orientation in (1, 3, 6):
        tag = pillow.Exif()
        tag[0x0112] = orientation
        pillow.fromarray(noise).save(tmp_path / f"{orientation}.jpg", exif=tag)
    extractor = Extractor.load("superpoint-tiny", DecodeSettings(max_keypoints=5), "cpu")
    seen = {f"{orientation}.jpg": extractor.extract(tmp_path / f"{orientation}.jpg") for orientation in (1, 3, 6)}
    write_hloc_features(tmp_path / "f.h5", {"1.jpg": seen["1.jpg"]}, images=tmp_path)
    for key, said in (("6.jpg", "stored as 60x40 and its features are of 40x60"), ("3.jpg", "turned by its EXIF")):
        with pytest.raises(InputError, match=said):
            write_hloc_features(tmp_path / "no.h5", {key: seen[key]}, images=tmp_path)
    with pytest.raises(InputError, match="orientation must be stored"):
        extract_images([tmp_path / "6.jpg"], tmp_path / "no.h5", extractor, layout="hloc", progress=False)
    words = ["extract", *(str(tmp_path / key) for key in seen), "--weights", "superpoint-tiny", "--layout", "hloc"]
    assert main([*words, "--out", str(tmp_path / "h.h5")]) == 0
    found = read_hloc_features(tmp_path / "h.h5")
    assert {key: features.image_size for key, features in found.items()} == dict.fromkeys(seen, (60, 40))
    assert found.provenance["orientation"] == "stored"
    write_hloc_features(tmp_path / "again.h5", found, found.provenance, images=tmp_path)
    assert not (tmp_path / "no.h5").exists()


def test_matches_are_a_partner_for_each_keypoint(tmp_path):
    features = {"db/a.jpg": some_features(4), "db/b.jpg": some_features(6, 1)}
    matches = {
        ("db/a.jpg", "db/b.jpg"): some_matches((0, 5, 0.75), (3, 2, 0.5)),
        ("db/b.jpg", "db/a.jpg"): some_matches(),
    }
    path = write_hloc_matches(tmp_path / "new" / "m.h5", matches, features)
    with h5py.File(path) as file:
        group = file["db-a.jpg/db-b.jpg"]
        assert group["matches0"][()].tolist() == [5, -1, -1, 2]
        assert group["matches0"].dtype == np.int16
        assert group["matching_scores0"][()].tolist() == [0.75, 0, 0, 0.5]
        assert file["db-b.jpg/db-a.jpg/matches0"][()].tolist() == [-1] * 6


@pytest.mark.parametrize(("count", "dtype"), [(32768, np.int16), (32769, np.int32)])
def test_an_index_too_large_for_16_bits_is_not_cut(tmp_path, count, dtype):
    features = {"a": some_features(2, dim=0), "b": some_features(count, dim=0)}
    path = write_hloc_matches(tmp_path / "m.h5", {("a", "b"): some_matches((1, count - 1, 0.5))}, features)
    pairs, _ = matches_of(path, "a", "b")
    assert pairs.tolist() == [[1, count - 1]]
    with h5py.File(path) as file:
        assert file["a/b/matches0"].dtype == dtype


def test_what_hloc_could_not_tell_apart_or_hold_is_refused(tmp_path):
    features = {key: some_features(count) for key, count in {"a/b": 2, "a-b": 2, "c": 3}.items()}
    path, one = tmp_path / "m.h5", some_matches((0, 0, 1.0))
    with pytest.raises(ValueError, match=r"\('a/b', 'c'\) and \('a-b', 'c'\) the same name 'a-b/c'"):
        write_hloc_matches(path, {("a/b", "c"): one, ("a-b", "c"): one}, features)
    with pytest.raises(ValueError, match="unsafe image key"):
        write_hloc_matches(path, {("../c", "c"): one}, features)
    with pytest.raises(ValueError, match="unsafe image key"):
        write_hloc_features(path, {"/c": features["c"]})
    with pytest.raises(ValueError, match="matched with itself: c"):
        write_hloc_matches(path, {("c", "c"): one}, features)
    with pytest.raises(KeyError, match="d"):
        write_hloc_matches(path, {("c", "d"): one}, features)
    for wrong, message in [
        (some_matches((0, 3, 1.0)), r"\('c', 'a/b'\) do not fit its 3 and 2"),
        (some_matches((2, 0, 1.0), (3, 0, 1.0)), "do not fit"),
        (some_matches((0, 2, 1.0)), "do not fit"),
        (some_matches((0, -1, 1.0)), "do not fit"),
        (some_matches((0, 1, 1.0), (0, 0, 1.0)), "image 0 .* several matches"),
    ]:
        with pytest.raises(ValueError, match=message):
            write_hloc_matches(path, {("c", "a/b"): wrong}, features)
    assert list(tmp_path.iterdir()) == []


def test_hlocs_own_functions_read_both_files(tmp_path):
    theirs = pytest.importorskip("hloc.utils.io")
    features = {"db/a.jpg": some_features(8), "query/b.jpg": some_features(8, 1)}
    matches = some_matches((0, 5, 0.75), (3, 2, 0.5))
    features_path = write_hloc_features(tmp_path / "f.h5", features)
    matches_path = write_hloc_matches(tmp_path / "m.h5", {("db/a.jpg", "query/b.jpg"): matches}, features)
    assert sorted(theirs.list_h5_names(features_path)) == sorted(features)
    for key, expected in features.items():
        keypoints, uncertainty = theirs.get_keypoints(features_path, key, return_uncertainty=True)
        np.testing.assert_array_equal(keypoints, expected.keypoints)
        assert uncertainty == 1.0
    pairs, scores = theirs.get_matches(matches_path, "db/a.jpg", "query/b.jpg")
    assert pairs.tolist() == [[0, 5], [3, 2]]
    assert scores.tolist() == [0.75, 0.5]
    assert theirs.get_matches(matches_path, "query/b.jpg", "db/a.jpg")[0].tolist() == [[5, 0], [2, 3]]
