"""Files that are as they were are not read again, unless everything is asked to be read."""

import os

import numpy as np
import pytest

from magicpoint.core.cache import cache_folder, keep, recall
from magicpoint.io import stamps, stream
from magicpoint.io.images import write_png
from magicpoint.io.per_image import process_images
from magicpoint.io.reading import ImageReading
from magicpoint.io.stamps import Stamps, stamp_of
from magicpoint.io.unfinished import UnfinishedFeatures

LONG_AGO = 1_600_000_000


def features_of(image):
    import torch

    from magicpoint.core.types import Features

    height, width = image.grey.shape
    return Features(torch.zeros(0, 2), torch.zeros(0), None, (width, height))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two images, noted as if they were old: a test cannot set back the time of a file's last change of any kind."""
    monkeypatch.setattr(stamps, "_SETTLED", 0)
    images = {name: tmp_path / name for name in ("a.png", "b.png")}
    for value, path in enumerate(images.values()):
        write_png(path, np.full((16, 24, 3), value, np.uint8))
        os.utime(path, (LONG_AGO, LONG_AGO))
    return images


@pytest.fixture
def run(folder, tmp_path, monkeypatch):
    """A function that makes the records of the folder; it gives the outcome and the names of the files it read."""
    read = []

    def reading(path, settings):
        read.append(path.name)
        return content(path, settings)

    content = stream.read_content
    monkeypatch.setattr(stream, "read_content", reading)

    def process(**settings):
        read.clear()
        unfinished = UnfinishedFeatures(tmp_path / "features.h5", {})
        options = {"progress": False, "reading": ImageReading(**settings)}
        return process_images(folder, unfinished, lambda key, image: features_of(image), **options), sorted(read)

    return process


def test_only_what_has_changed_is_read_again(run, folder):
    assert run()[1] == ["a.png", "b.png"]
    outcome, read = run()
    assert (outcome.kept, outcome.images, read) == (2, 2, [])
    write_png(folder["b.png"], np.full((16, 24, 3), 9, np.uint8))
    outcome, read = run()
    assert (outcome.kept, outcome.changed, read) == (1, 1, ["b.png"])
    assert run()[1] == []


def test_a_file_that_was_only_touched_is_read_and_kept(run, folder):
    run()
    os.utime(folder["a.png"], (LONG_AGO + 1, LONG_AGO + 1))
    outcome, read = run()
    assert (outcome.kept, outcome.changed, read) == (2, 0, ["a.png"])
    assert run()[1] == []


def test_the_suspicious_read_everything(run):
    run()
    outcome, read = run(read_all=True)
    assert (outcome.kept, read) == (2, ["a.png", "b.png"])
    assert run()[1] == []


def test_what_was_forgotten_is_read(run, monkeypatch):
    run()
    monkeypatch.setenv("MAGICPOINT_CACHE", "")
    outcome, read = run()
    assert (outcome.kept, read) == (2, ["a.png", "b.png"])


def test_a_file_that_was_just_written_is_not_noted(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(stamps, "_SETTLED", 10**18)
    stamp = stamp_of([folder["a.png"]])
    seen = Stamps(tmp_path / "out.h5")
    seen.note("a.png", stamp, "digest")
    seen.save()
    assert Stamps(tmp_path / "out.h5").digest("a.png", stamp) is None


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a.png": 3}', '{"a.png": [[1, 2, 3, 4], 5]}'])
def test_a_damaged_file_of_the_cache_counts_as_none(text, tmp_path):
    seen = Stamps(tmp_path / "out.h5")
    seen.note("a.png", [1, 2, 3, 4], "digest")
    seen.save()
    [path] = [path for path in cache_folder().rglob("*.json") if "digest" in path.read_text()]
    path.write_text(text)
    assert Stamps(tmp_path / "out.h5").digest("a.png", [1, 2, 3, 4]) is None
    Stamps(tmp_path / "out.h5").save()
    path.unlink(missing_ok=True)


def test_the_cache_gives_back_what_was_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("MAGICPOINT_CACHE", str(tmp_path / "c"))
    assert recall("one") == {}
    keep("one", {"a": 1})
    assert recall("one") == {"a": 1}
    monkeypatch.setenv("MAGICPOINT_CACHE", "")
    keep("two", {"b": 2})
    assert recall("one") == {}
    assert cache_folder() is None
    monkeypatch.delenv("MAGICPOINT_CACHE")
    assert cache_folder().name == "magicpoint"
