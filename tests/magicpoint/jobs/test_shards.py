"""Jobs in shards: shares by a hash of the key, shards read and merged as one file, and what can be wrong with them."""

import io
import json
import shutil
import tarfile

import cv2
import numpy as np
import pytest

from magicpoint import (
    AdaptationSettings,
    DecodeSettings,
    check_shards,
    match_pairs,
    merge_shards,
    read_features,
    read_info,
    read_labels,
)
from magicpoint.cli import main
from magicpoint.core.locks import locked
from magicpoint.core.shards import Shard, number_of, shard_of
from magicpoint.inference.extractor import Extractor
from magicpoint.jobs.adapt import adapt_images
from magicpoint.jobs.extract import extract_images
from magicpoint.jobs.shards import format_check
from synthetic_shapes import DatasetSettings, ShapesDataset, ShapeSettings, generate_dataset

COUNT = 3
KEYS = [*(f"{number}.png" for number in range(8)), "sub/8.png"]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards") / "images"
    (folder / "sub").mkdir(parents=True)
    for number, key in enumerate(KEYS):
        noise = np.random.default_rng(number).integers(0, 256, (24, 32), np.uint8)
        assert cv2.imwrite(str(folder / key), noise)
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    return folder


@pytest.fixture(scope="module")
def network(random_network):
    return Extractor(random_network(), DecodeSettings(threshold=0.001, border=0), device="cpu", weights="random")


@pytest.fixture(scope="module")
def made(images, network, tmp_path_factory):
    """The features of the images in three shards, and in one file."""
    folder = tmp_path_factory.mktemp("made")
    for number in range(COUNT):
        extract_images([images], folder / "shards" / "features.h5", network, shard=Shard(number, COUNT), progress=False)
    extract_images([images], folder / "one.h5", network, progress=False)
    return folder


@pytest.fixture
def shards(made, tmp_path):
    return shutil.copytree(made / "shards", tmp_path / "shards")


def test_a_share_is_a_hash_of_the_key_and_every_key_is_in_one():
    # From sha256 of the letter alone, on paper: hashlib.sha256(b"a") begins with ca978112ca1bbdca, mod 16 = 0xa.
    assert number_of("a", 16) == 10
    owners = [[number for number in range(16) if Shard(number, 16).has(f"{key}.jpg")] for key in range(500)]
    assert all(len(own) == 1 for own in owners)
    assert {own[0] for own in owners} == set(range(16))


def test_the_name_of_a_shard_says_which_it_is(tmp_path):
    shard = Shard.parse("3/16")
    assert shard.path("runs/labels.h5", "labels.h5").as_posix() == "runs/labels-00003-of-00016.h5"
    assert shard.path("runs/round1", "labels.h5").as_posix() == "runs/round1/labels-00003-of-00016.h5"
    assert shard.path(tmp_path, "labels.h5") == tmp_path / "labels-00003-of-00016.h5"
    assert shard_of(shard.path("runs/labels.h5", "labels.h5")) == ("labels.h5", shard)
    assert shard_of(tmp_path / "labels.h5") is None


@pytest.mark.parametrize("text", ["16/16", "3", "a/0", "0/100000"])
def test_a_share_that_there_is_not_is_refused(text, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["extract", "images", "--out", "f.h5", "--shard", text])
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert "--shard must be" in error
    assert f"got {text}" in error


@pytest.mark.parametrize(("rank", "world", "expected"), [("1", "4", Shard(1, 4)), ("0", "1", None), ("4", "4", None)])
def test_a_process_of_several_has_the_share_of_its_rank(monkeypatch, rank, world, expected):
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("WORLD_SIZE", world)
    assert Shard.of_process() == expected


def test_a_folder_of_shards_is_read_as_the_one_file(made):
    one = read_features(made / "one.h5")
    # By the folder, and by the name that was asked for.
    for path in (made / "shards", made / "shards" / "features.h5"):
        found = read_features(path)
        assert list(found) == list(one) == KEYS
        assert (found.provenance, found.skipped) == (one.provenance, one.skipped)
        assert found.keypoint_counts() == one.keypoint_counts()
        assert all((found[key].keypoints == one[key].keypoints).all() for key in KEYS)
        assert [found.digest(key) for key in KEYS] == [one.digest(key) for key in KEYS]


def test_merged_shards_are_the_bytes_of_the_one_file(made, tmp_path):
    result = merge_shards(made / "shards", tmp_path / "f.h5")
    assert (result.shards, result.images, result.skipped) == (COUNT, len(KEYS), 1)
    assert (tmp_path / "f.h5").read_bytes() == (made / "one.h5").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.h5"]
    assert merge_shards(made / "shards", tmp_path / "f.h5") == result  # nothing is in the way of a second time


def test_labels_in_shards_have_reports_and_so_has_their_merger(images, network, tmp_path):
    settings = AdaptationSettings(count=1, threshold=0.001, precision="float32")
    for number in range(2):
        adapt_images([images], tmp_path / "l", network, settings, shard=Shard(number, 2), progress=False)
    names = [f"labels-0000{number}-of-00002" for number in range(2)]
    assert sorted(path.name for path in (tmp_path / "l").iterdir()) == [
        f"{name}.{suffix}" for name in names for suffix in ("h5", "json")
    ]
    adapt_images([images], tmp_path / "one.h5", network, settings, progress=False)
    merge_shards(tmp_path / "l", tmp_path / "merged.h5")
    assert (tmp_path / "merged.h5").read_bytes() == (tmp_path / "one.h5").read_bytes()
    reports = [json.loads((tmp_path / f"{name}.json").read_text()) for name in ("merged", "one")]
    assert reports[0]["points"] == reports[1]["points"] == sum(map(len, read_labels(tmp_path / "l").values()))


def test_more_shards_than_images_leave_empty_ones(images, network, tmp_path):
    for number in range(4):
        extract_images([images / "0.png"], tmp_path / "f.h5", network, shard=Shard(number, 4), progress=False)
    assert sorted(len(read_features(path)) for path in tmp_path.glob("f-*.h5")) == [0, 0, 0, 1]
    assert list(read_features(tmp_path)) == ["0.png"]
    assert check_shards(tmp_path, [images / "0.png"]).is_complete


def test_a_shard_that_is_made_again_stays_as_it_is(shards, images, network):
    path = shards / "features-00001-of-00003.h5"
    before = path.read_bytes(), path.stat().st_mtime_ns
    extract_images([images], shards / "features.h5", network, shard=Shard(1, COUNT), progress=False)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


def test_the_same_shard_twice_at_once_is_refused(shards, images, network):
    with locked(shards / "features-00001-of-00003.h5"):
        with pytest.raises(ValueError, match=r"features-00001-of-00003\.h5 is being written by another process"):
            extract_images([images], shards / "features.h5", network, shard=Shard(1, COUNT), progress=False)
        extract_images([images], shards / "features.h5", network, shard=Shard(2, COUNT), progress=False)


def spoil_settings(shards, images, network):
    other = Extractor(network.model, DecodeSettings(threshold=0.002, border=0), device="cpu", weights="random")
    (shards / "features-00002-of-00003.h5").unlink()
    extract_images([images], shards / "features.h5", other, shard=Shard(2, COUNT), progress=False)


def remove(shards, images, network):
    (shards / "features-00001-of-00003.h5").unlink()


def spoil_index(shards, images, network):
    path = shards / "features-00001-of-00003.h5"
    content = bytearray(path.read_bytes())
    content[-30] ^= 1  # before the 20 bytes of the footer
    path.write_bytes(content)


def double(shards, images, network):
    extract_images([images], shards / "f.h5", network, progress=False)
    (shards / "f.h5").replace(shards / "features-00000-of-00003.h5")


def add_others(shards, images, network):
    (shards / "features-00000-of-00004.h5").write_bytes(b"")


FAULTS = [
    (
        spoil_settings,
        r"00000-of-00003\.h5 and .*00002-of-00003\.h5 were made .*threshold in the first 0\.001",
    ),
    (remove, r"lacks 1 of 3 shards \(features-00001-of-00003\.h5\)"),
    (spoil_index, r"features-00001-of-00003\.h5 is damaged"),
    (double, r"00000-of-00003\.h5 and .*0000[12]-of-00003\.h5 both hold"),
    (add_others, r"several sets of shards, .*features-\*-of-0000[34]\.h5 and .*features-\*-of-0000[34]\.h5"),
]


@pytest.mark.parametrize(("fault", "message"), FAULTS, ids=[fault.__name__ for fault, _ in FAULTS])
def test_what_is_wrong_with_shards_is_named_and_nothing_is_merged(
    fault, message, shards, images, network, tmp_path, capsys
):
    fault(shards, images, network)
    assert main(["merge", str(shards), "--out", str(tmp_path / "f.h5")]) == 1
    with pytest.raises(ValueError, match=message):
        merge_shards(shards, tmp_path / "f.h5")
    if fault is not add_others:
        with pytest.raises(ValueError, match=message):
            read_features(shards)
        assert main(["check", str(shards), str(images)]) == 1
        assert "is not complete" in capsys.readouterr().err
    assert not (tmp_path / "f.h5").exists()


def test_a_file_of_other_images_is_not_replaced_by_a_merger(made, images, network, tmp_path):
    shutil.copytree(images, tmp_path / "more")
    shutil.copy(images / "0.png", tmp_path / "more" / "9.png")
    extract_images([tmp_path / "more"], tmp_path / "f.h5", network, progress=False)
    with pytest.raises(ValueError, match=r"holds an image not asked for now, for instance 9\.png"):
        merge_shards(made / "shards", tmp_path / "f.h5")
    (tmp_path / "g.h5").write_bytes(b"else")
    with pytest.raises(ValueError, match=r"g\.h5 .*it is not replaced"):
        merge_shards(made / "shards", tmp_path / "g.h5")


def test_check_says_which_shard_lacks_what(shards, images, tmp_path, capsys):
    assert main(["check", str(shards), str(images)]) == 0
    assert capsys.readouterr().out == "3 of 3 shards with 9 images, 1 skipped; 10 are asked for\n"
    more = shutil.copytree(images, tmp_path / "more")
    shutil.copy(images / "0.png", more / "new.png")
    (more / "1.png").unlink()
    result = check_shards(shards, [more])
    assert not result.is_complete
    at = number_of("new.png", COUNT)
    assert [shard.lacks for shard in result.shards] == [("new.png",) if n == at else () for n in range(COUNT)]
    assert [shard.foreign for shard in result.shards] == [
        ("1.png",) if n == number_of("1.png", COUNT) else () for n in range(COUNT)
    ]
    (shards / f"features-0000{at}-of-00003.h5").unlink()
    own = sum(number_of(key, COUNT) == at for key in [*KEYS, "broken.jpg"])
    assert f"features-0000{at}-of-00003.h5 is missing, and with it {own} images" in format_check(
        check_shards(shards, [images])
    )
    assert main(["check", str(shards), str(images), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["shards"][at]["is_there"] is False


def test_a_single_file_is_checked_too(made, images, tmp_path):
    assert check_shards(made / "one.h5", [images]).is_complete
    with pytest.raises(FileNotFoundError, match="no shards in"):
        check_shards(tmp_path)


def test_a_folder_of_shards_says_what_it_is(made):
    info = read_info(made / "shards")
    assert "folder of shards, 3 of 3" in info.kind
    assert info.provenance["weights"] == "random"


def test_pairs_are_matched_from_a_folder_of_shards(made, tmp_path):
    found = [
        match_pairs(made / name, [("0.png", "1.png")], tmp_path / f"{name}.m", progress=False).matches
        for name in ("shards", "one.h5")
    ]
    assert found[0] == found[1]


def test_a_dataset_rendered_in_shares_is_that_of_one_process(tmp_path):
    settings = DatasetSettings(70, 3, 0, shapes=ShapeSettings(size_hw=(48, 64)))
    for number in range(2):
        words = ["generate", str(tmp_path / "shares"), "--count", "70", "--validation_count", "3", "--test_count", "0"]
        words += ["--size_hw", "48x64", "--workers", "1", "--quiet", "--shard", f"{number}/2"]
        assert main(words) == 0
        with pytest.raises(ValueError, match="is unfinished"):
            ShapesDataset(tmp_path / "shares", "training")
    count = len(list((tmp_path / "shares").rglob("*.png")))
    assert count == 73
    for name in ("shares", "one"):
        generate_dataset(tmp_path / name, settings, workers=1, progress=False)
    assert ShapesDataset(tmp_path / "shares", "training").digest == ShapesDataset(tmp_path / "one", "training").digest
    with locked(tmp_path / "shares-00001-of-00002"):
        assert main(words) == 1


def write_tar(path, names, damaged=False):
    with tarfile.open(path, "w") as made:
        for number, name in enumerate(names):
            noise = np.random.default_rng(number).integers(0, 256, (24, 32), np.uint8)
            content = b"none" if "broken" in name else cv2.imencode(".png", noise)[1].tobytes()
            info = tarfile.TarInfo(name)
            info.size = len(content)
            made.addfile(info, io.BytesIO(content))
    if damaged:
        path.write_bytes(path.read_bytes()[:1000])


def test_a_tar_file_is_one_piece_of_work_with_many_images(network, tmp_path, caplog):
    (tmp_path / "tars").mkdir()
    for number in range(4):
        write_tar(tmp_path / "tars" / f"{number}.tar", ["a.png", "a.json", "sub/b.png", "broken.png"])
    pattern = tmp_path / "tars" / "{0..3}.tar"
    shares = [
        extract_images([pattern], tmp_path / "f.h5", network, shard=Shard(number, 2), progress=False)
        for number in range(2)
    ]
    keys = [f"{number}.tar/{name}" for number in range(4) for name in ("a", "sub/b")]
    assert sorted(key for share in shares for key in read_features(share.path)) == keys
    for number, share in enumerate(shares):
        assert {key.split("/")[0] for key in read_features(share.path)} == {
            f"{tar}.tar" for tar in range(4) if Shard(number, 2).has(f"{tar}.tar")
        }
        assert all(why.startswith(str(tmp_path / "tars" / f"{key}.png")) for key, why in share.skipped.items())
    one = extract_images([tmp_path / "tars"], tmp_path / "one.h5", network, progress=False)
    merge_shards(tmp_path / "f.h5", tmp_path / "merged.h5")
    assert (tmp_path / "merged.h5").read_bytes() == (tmp_path / "one.h5").read_bytes()
    assert "skipped 0.tar/broken" in caplog.text
    # Started again nothing is found anew; what is lacking is said image by image.
    again = extract_images([tmp_path / "tars"], tmp_path / "one.h5", network, progress=False)
    assert (one.new, again.new, again.kept) == (8, 0, 8)
    assert check_shards(tmp_path / "f.h5", [pattern]).is_complete
    write_tar(tmp_path / "tars" / "2.tar", ["a.png", "sub/b.png", "broken.png", "c.png"])
    lacking = check_shards(tmp_path / "f.h5", [pattern])
    assert [shard.lacks for shard in lacking.shards if shard.lacks] == [("2.tar/c",)]
    # The labels of the same images have the same keys.
    settings = AdaptationSettings(count=1, threshold=0.001, precision="float32")
    adapt_images([pattern], tmp_path / "labels.h5", network, settings, progress=False)
    assert sorted(read_labels(tmp_path / "labels.h5")) == sorted([*keys, "2.tar/c"])


def test_a_damaged_tar_ends_the_job_and_what_was_done_stays(network, tmp_path):
    write_tar(tmp_path / "a.tar", [f"{number:02}.png" for number in range(40)])
    write_tar(tmp_path / "b.tar", ["a.png", "b.png"], damaged=True)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"b\.tar is truncated or damaged in its member a\.png"):
            extract_images([tmp_path], tmp_path / "f.h5", network, progress=False)
    write_tar(tmp_path / "b.tar", ["a.png"])
    done = extract_images([tmp_path], tmp_path / "f.h5", network, progress=False)
    assert (done.images, done.kept) == (41, 32)
