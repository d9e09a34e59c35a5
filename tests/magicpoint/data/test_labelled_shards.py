"""Labelled images in shards: the same images as those of one file, shard by shard, with no index of all of them."""

import itertools
import json
import pickle

import numpy as np
import pytest
import torch

from magicpoint.core.shards import Shard
from magicpoint.core.types import Labels
from magicpoint.data import labelled_shards
from magicpoint.data.labelled import open_labelled
from magicpoint.data.labelled_images import LabelledImages, LabelledSource
from magicpoint.data.labelled_shards import AllBut, LabelledShards, ShardOrder
from magicpoint.io.images import write_png
from magicpoint.io.labels import LABELS
from magicpoint.io.records import RecordFile, write_records
from magicpoint.training.loop import train_model
from magicpoint.training.settings import TrainSettings
from magicpoint.training.state import load_state, save_state
from magicpoint.training.tasks.settings import SuperPointSettings
from synthetic_shapes import ShapeSettings

COUNT = 3
KEYS = [f"{number:02}.png" for number in range(24)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    records = {}
    for number, key in enumerate(KEYS):
        write_png(folder / "images" / key, np.full((64, 72), 10 * number, np.uint8))
        mask = torch.ones(64, 72, dtype=torch.bool)
        points = torch.tensor([[number, 5.0], [30.0, 40.0]])
        records[key] = Labels(points, torch.full((2,), 0.5), None, (72, 64), mask)
    write_records(folder / "labels.h5", LABELS, records)
    for number in range(COUNT):
        shard = Shard(number, COUNT)
        own = {key: record for key, record in records.items() if shard.has(key)}
        write_records(folder / "labels" / shard.name("labels.h5"), LABELS, own)
    return folder


@pytest.fixture
def shards(folder):
    return open_labelled([folder / "images"], folder / "labels")


def test_the_images_are_those_of_one_file(folder, shards):
    one = open_labelled([folder / "images"], folder / "labels.h5")
    assert isinstance(shards, LabelledShards)
    assert not isinstance(one, LabelledShards)
    assert len(shards) == len(one) == 24
    for dataset in (shards, pickle.loads(pickle.dumps(shards))):
        found = {dataset.key(index): dataset[index] for index in range(24)}
        assert sorted(found) == KEYS
        for index, key in enumerate(KEYS):
            assert all(np.array_equal(*parts) for parts in zip(found[key], one[index], strict=True))
    # Without one folder the keys say no paths: then all are looked for, and an index is kept.
    listed = LabelledImages([folder / "images", folder / "images" / "00.png"], folder / "labels")
    assert [listed.key(index) for index in range(24)] == KEYS


def test_only_the_shards_in_use_are_open(shards, monkeypatch):
    opened = []

    class Counted(RecordFile):
        def __init__(self, path, layout):
            opened.append(path.name)
            super().__init__(path, layout)

    monkeypatch.setattr(labelled_shards, "RecordFile", Counted)
    source = LabelledSource(shards, shards.split()[0], 0, 0.0, ShapeSettings())
    for number in range(len(shards.split()[0])):
        source.sample(number)
    assert sorted(opened) == sorted(Shard(number, COUNT).name("labels.h5") for number in range(COUNT))


def test_each_image_comes_once_a_round_shard_by_shard_in_an_order_of_its_own():
    order = ShardOrder(np.array([4, 4, 9, 12]), np.array([2, 5]), seed=3)
    rounds = [[order[10 * epoch + place] for place in range(10)] for epoch in range(30)]
    assert all(sorted(seen) == [0, 1, 3, 4, 6, 7, 8, 9, 10, 11] for seen in rounds)
    shard = [0] * 4 + [2] * 5 + [3] * 3
    begun = {tuple(number for number, _ in itertools.groupby(shard[image] for image in seen)) for seen in rounds}
    assert begun == set(itertools.permutations((0, 2, 3)))
    assert len({tuple(seen) for seen in rounds}) == 30
    # A place does not depend on which were asked for before.
    assert ShardOrder(np.array([4, 4, 9, 12]), np.array([2, 5]), seed=3)[77] == rounds[7][7]


def test_all_but_some_are_the_others():
    numbers = AllBut(9, np.array([0, 3, 4]))
    assert list(numbers) == [numbers[place] for place in range(6)] == numbers[:] == [1, 2, 5, 6, 7, 8]
    assert (len(numbers), numbers[-1], numbers[1:3]) == (6, 8, [2, 5])
    with pytest.raises(IndexError):
        numbers[6]


def test_some_are_held_out_and_never_trained_on(folder, shards):
    for training, held_out in (shards.split(), shards.split_by_name(0.3)):
        assert sorted([*training, *held_out]) == list(range(24))
        assert held_out
    one = LabelledImages([folder / "images"], folder / "labels.h5")
    of_one = {one.key(index) for index in one.split_by_name(0.3)[1]}
    assert {shards.key(index) for index in shards.split_by_name(0.3)[1]} == of_one


@pytest.mark.parametrize(
    ("images", "said"), [("labels", r"labels \d\d\.png, which is not in"), ("images", "lacks 1 of 3 shards")]
)
def test_what_does_not_fit_is_named(folder, tmp_path, images, said):
    for path in (folder / "labels").iterdir():
        (tmp_path / path.name).symlink_to(path)
    if images == "images":
        (tmp_path / "labels-00001-of-00003.h5").unlink()
    with pytest.raises(ValueError, match=said):
        open_labelled([folder / images], tmp_path)


def test_no_label_is_read_to_tell_data_apart(folder, monkeypatch):
    monkeypatch.setattr(RecordFile, "arrays", lambda *_: pytest.fail("a record was read"))
    found = {open_labelled([folder / "images"], folder / name).digest for name in ("labels", "labels.h5")}
    assert len(found) == 2


@pytest.mark.slow
def test_a_run_of_an_earlier_version_goes_on_with_its_digest(folder, tmp_path):
    settings = TrainSettings(
        task=SuperPointSettings(images=(folder / "images",), labels=folder / "labels.h5"), steps=1, precision="float32"
    )
    small = {"model": {"width": 0.125, "descriptor_dim": 8}, "views": {"size_hw": (48, 64)}}
    task = settings.task
    for name, values in small.items():
        task = type(task)(**{**vars(task), name: type(getattr(task, name))(**values)})
    settings = TrainSettings(**{**vars(settings), "task": task, "batch_size": 1, "workers": 0})
    train_model(tmp_path, settings, progress=False)
    state = load_state(tmp_path / "last.state")
    kept = json.loads(state["settings"])
    state["settings"] = json.dumps({name: value for name, value in kept.items() if name != "accumulate"})
    state["data_digest"] = LabelledImages([folder / "images"], folder / "labels.h5")._earlier_digest()
    save_state(tmp_path / "last.state", state)
    train_model(tmp_path, settings, resume=True, progress=False)
    state["data_digest"] = "other"
    save_state(tmp_path / "last.state", state)
    with pytest.raises(ValueError, match="other images, labels or shapes"):
        train_model(tmp_path, settings, resume=True, progress=False)
