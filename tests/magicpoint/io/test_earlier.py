"""What becomes of records that were there before, and of what lies beside them."""

import os

import cv2
import numpy as np
import pytest
import torch

from magicpoint.core.errors import InputError
from magicpoint.core.types import Features
from magicpoint.io.features import read_features
from magicpoint.io.finding import find_images
from magicpoint.io.per_image import process_images
from magicpoint.io.unfinished import UnfinishedFeatures

DEAD = 2**22 + 1
"""A number that no process has on Linux, whose largest is one less."""


def brightness(key, image):
    height, width = image.grey.shape
    return Features(torch.zeros(1, 2), torch.tensor([float(image.grey.mean())]), None, (width, height))


def write(path, value):
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(cv2.imencode(".png", np.full((8, 9), value, np.uint8))[1].tobytes())


@pytest.fixture
def extract(tmp_path):
    """A function that extracts folders of `tmp_path` to f.h5."""

    def run(*folders, root=None, process=brightness, **options):
        images = find_images([tmp_path / name for name in folders], root=root)
        unfinished = UnfinishedFeatures(tmp_path / "f.h5", {"weights": "w"})
        return process_images(images, unfinished, process, progress=False, **options)

    for number in range(3):
        write(tmp_path / "a" / f"{number}.png", number)
        write(tmp_path / "b" / f"{number + 2}.png", 10 + number)
    return run


def counts(outcome):
    return {name: getattr(outcome, name) for name in ("kept", "new", "changed", "dropped")}


def test_a_deleted_photograph_is_kept_or_dropped_as_is_asked(extract, tmp_path):
    extract("a")
    (tmp_path / "a" / "1.png").unlink()
    with pytest.raises(InputError, match=r"holds an image not asked for now, for instance 1\.png: --append keeps"):
        extract("a")
    assert counts(extract("a", append=True)) == {"kept": 3, "new": 0, "changed": 0, "dropped": 0}
    assert list(read_features(tmp_path / "f.h5")) == ["0.png", "1.png", "2.png"]
    assert counts(extract("a", prune=True)) == {"kept": 2, "new": 0, "changed": 0, "dropped": 1}
    assert list(read_features(tmp_path / "f.h5")) == ["0.png", "2.png"]
    with pytest.raises(InputError, match="choose one"):
        extract("a", prune=True, append=True)


def test_a_second_folder_is_added_under_keys_of_its_own(extract, tmp_path):
    extract("a", root=tmp_path)
    assert counts(extract("b", root=tmp_path, append=True)) == {"kept": 3, "new": 3, "changed": 0, "dropped": 0}
    found = read_features(tmp_path / "f.h5")
    assert list(found) == ["a/0.png", "a/1.png", "a/2.png", "b/2.png", "b/3.png", "b/4.png"]
    assert found["b/2.png"].keypoint_scores * 255 == 10


def test_a_second_folder_replaces_nothing_that_has_its_keys(extract, tmp_path):
    extract("a")
    before = (tmp_path / "f.h5").read_bytes()
    with pytest.raises(InputError, match=r"holds another image under the key 2\.png, and --append replaces none"):
        extract("b", append=True)
    assert (tmp_path / "f.h5").read_bytes() == before
    write(tmp_path / "b" / "2.png", 2)  # the same image
    extract("b", append=True)
    assert len(read_features(tmp_path / "f.h5")) == 5
    with pytest.raises(InputError, match="is not in the root"):
        find_images([tmp_path / "a"], root=tmp_path / "b")


def test_why_images_are_missing_stays_with_what_is_appended(extract, tmp_path):
    (tmp_path / "a" / "1.png").write_bytes(b"no image")
    extract("a", root=tmp_path)
    extract("b", root=tmp_path, append=True)
    assert list(read_features(tmp_path / "f.h5").skipped) == ["a/1.png"]
    write(tmp_path / "a" / "1.png", 1)
    extract("a", root=tmp_path, append=True)
    assert read_features(tmp_path / "f.h5").skipped == {}


def test_nothing_is_lost_where_nothing_can_be_read_now(extract, tmp_path, caplog):
    extract("a")
    before = (tmp_path / "f.h5").read_bytes()
    for image in (tmp_path / "a").iterdir():
        image.write_bytes(b"")
    outcome = extract("a")
    assert counts(outcome) == {"kept": 3, "new": 0, "changed": 0, "dropped": 0}
    assert list(outcome.unread) == ["0.png", "1.png", "2.png"]
    assert caplog.text.count("kept the earlier record of") == 3
    assert (tmp_path / "f.h5").read_bytes() == before


@pytest.mark.parametrize(
    "error", [MemoryError("1"), torch.OutOfMemoryError("2"), RuntimeError("DefaultCPUAllocator: not enough memory: 3")]
)
def test_an_image_that_needs_too_much_memory_is_skipped(extract, error):
    def process(key, image):
        if key == "1.png":
            raise error
        return brightness(key, image)

    outcome = extract("a", process=process)
    assert outcome.images == 2
    assert "not enough memory" in outcome.skipped["1.png"]
    with pytest.raises(RuntimeError, match="another"):
        extract("a", process=lambda key, image: (_ for _ in ()).throw(RuntimeError("another")))


def test_only_our_own_parts_and_temporaries_are_removed(extract, tmp_path, caplog):
    folder = tmp_path / "f.h5.partial"
    folder.mkdir()
    foreign = [folder / "notes.txt", folder / "1.h5", tmp_path / ".x.tmp", tmp_path / f".g.h5.{DEAD}.tmp"]
    for path in foreign:
        path.write_text("mine")
    (folder / f".000000.h5.{DEAD}.tmp").write_text("ours")
    extract("a")
    assert [path.read_text() for path in foreign] == ["mine"] * 4
    assert sorted(path.name for path in folder.iterdir()) == ["1.h5", "notes.txt"]
    assert "f.h5.partial holds other files and stays" in caplog.text


def test_what_is_called_as_a_part_and_is_none_is_named(extract, tmp_path):
    (tmp_path / "f.h5.partial").mkdir()
    (tmp_path / "f.h5.partial" / "000000.h5").write_text("mine")
    with pytest.raises(InputError, match=r"000000\.h5 is damaged or no feature file"):
        extract("a")


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_a_link_stays_a_link(extract, tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "f.h5").symlink_to(tmp_path / "disk" / "there.h5")
    extract("a")
    assert (tmp_path / "f.h5").is_symlink()
    assert [path.name for path in (tmp_path / "disk").iterdir()] == ["there.h5"]
    assert len(read_features(tmp_path / "disk" / "there.h5")) == 3
