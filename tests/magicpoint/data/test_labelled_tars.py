"""Labelled images in tar files: those of a folder, file by file, with no index of all of them."""

import io
import itertools
import pickle
import tarfile

import cv2
import fsspec
import numpy as np
import pytest
import torch

from magicpoint.core.shards import Shard, number_of
from magicpoint.core.types import Labels
from magicpoint.data import labelled_tars
from magicpoint.data.labelled import open_labelled
from magicpoint.data.labelled_images import LabelledSource
from magicpoint.data.labelled_shards import ShardOrder
from magicpoint.data.labelled_tars import LabelledTars
from magicpoint.io.labels import LABELS
from magicpoint.io.records import write_records
from magicpoint.io.tars import TarImages
from magicpoint.training.settings import TrainSettings
from magicpoint.training.tasks.base import open_task
from magicpoint.training.tasks.settings import SuperPointSettings
from synthetic_shapes import ShapeSettings

TARS, EACH, COUNT = 6, 4, 2
KEYS = [f"p-{tar:03}.tar/{number}" for tar in range(TARS) for number in range(EACH)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Tar files, and their labels in one file and in shards, to each of which whole tar files belong."""
    folder = tmp_path_factory.mktemp("tars")
    (folder / "images").mkdir()
    records = {}
    for tar in range(TARS):
        with tarfile.open(folder / "images" / f"p-{tar:03}.tar", "w") as made:
            for number in range(EACH):
                content = cv2.imencode(".png", np.full((64, 72), 40 * tar + number, np.uint8))[1].tobytes()
                info = tarfile.TarInfo(f"{number}.png")
                info.size = len(content)
                made.addfile(info, io.BytesIO(content))
                points = torch.tensor([[10.0 * tar + number, 5.0], [30.0, 40.0]])
                mask = torch.ones(64, 72, dtype=torch.bool)
                records[f"p-{tar:03}.tar/{number}"] = Labels(points, torch.full((2,), 0.5), None, (72, 64), mask)
    write_records(folder / "labels.h5", LABELS, records)
    for number in range(COUNT):
        own = {key: record for key, record in records.items() if number_of(key.split("/")[0], COUNT) == number}
        write_records(folder / "labels" / Shard(number, COUNT).name("labels.h5"), LABELS, own)
    return folder


@pytest.mark.parametrize("labels", ["labels", "labels.h5"])
def test_every_image_comes_with_its_labels_also_in_another_process(folder, labels):
    dataset = open_labelled([folder / "images" / "p-{000..005}.tar"], folder / labels)
    assert isinstance(dataset, LabelledTars)
    for each in (dataset, pickle.loads(pickle.dumps(dataset))):
        found = {each.key(index): each[index] for index in range(TARS * EACH)}
        assert sorted(found) == KEYS
        for key, sample in found.items():
            tar, number = int(key[2:5]), int(key[-1])
            assert (sample.image == 40 * tar + number).all()
            assert sample.keypoints[0].tolist() == [10 * tar + number, 5]


@pytest.mark.parametrize("labels", ["labels", "labels.h5"])
def test_one_tar_after_the_other_is_opened_once_a_round(folder, labels, monkeypatch):
    opened = []
    monkeypatch.setattr(labelled_tars, "TarImages", lambda path: opened.append(path.name) or TarImages(path))
    dataset = open_labelled([folder / "images"], folder / labels)
    assert not opened
    training, held_out = dataset.split()
    assert sorted([*training, *held_out]) == list(range(TARS * EACH))
    assert len({dataset.key(index).split("/")[0] for index in held_out}) == 1  # so that judging opens few
    source, rounds = LabelledSource(dataset, training, 3, 0.0, ShapeSettings()), []
    for _ in range(2):
        opened.clear()
        for number in range(len(training)):
            source.sample(len(rounds) * len(training) + number)
        rounds.append(tuple(opened))
    assert len({*rounds[0]}) in (TARS - 1, TARS)  # all of one may be held out
    assert len(rounds[0]) == len({*rounds[0]})
    assert rounds[0] != rounds[1]


def test_a_sample_is_a_function_of_seed_and_number_wherever_it_begins(folder):
    def images(numbers):
        dataset = open_labelled([folder / "images"], folder / "labels")
        source = LabelledSource(dataset, dataset.split()[0], 3, 0.0, ShapeSettings())
        return [int(source.sample(number).image[0, 0]) for number in numbers]

    assert images(range(40))[17:] == images(range(17, 40))
    assert images(range(0, 40, 2)) == images(range(40))[::2]  # as one process of two has it


def test_the_parts_of_a_shard_come_together():
    order = ShardOrder(np.array([2, 4, 6, 8, 10]), np.empty(0, np.int64), 0, parts=[2, 0, 3])
    rounds = [[order[10 * epoch + place] for place in range(10)] for epoch in range(40)]
    assert all(sorted(seen) == list(range(10)) for seen in rounds)
    orders = {tuple(part for part, _ in itertools.groupby(image // 2 for image in seen)) for seen in rounds}
    assert all({*seen[:2]} == {0, 1} or {*seen[3:]} == {0, 1} for seen in orders)
    assert len(orders) > 12
    assert pickle.loads(pickle.dumps(order))[77] == order[77]


def test_training_takes_tars_from_elsewhere(folder, tmp_path):
    for path in (folder / "images").iterdir():
        fsspec.filesystem("memory").pipe_file(f"/tars/{path.name}", path.read_bytes())
    (tmp_path / "list.txt").write_text("".join(f"memory://tars/p-{tar:03}.tar\n" for tar in range(TARS)))
    settings = TrainSettings(
        task=SuperPointSettings(images=(tmp_path / "list.txt",), labels=folder / "labels"), batch_size=4
    )
    here = TrainSettings(task=SuperPointSettings(images=(folder / "images",), labels=folder / "labels"), batch_size=4)
    both = [open_task(each.task, each).batches(0, 1)[5] for each in (settings, here)]
    assert torch.equal(both[0].view1.image, both[1].view1.image)
    assert torch.equal(both[0].H_0to1, both[1].H_0to1)


def test_what_does_not_fit_is_named(folder, tmp_path):
    with pytest.raises(ValueError, match=r"labels p-000\.tar/0, which is in no tar file of .*p-001\.tar"):
        open_labelled([folder / "images" / "p-001.tar"], folder / "labels.h5")
    for path in (folder / "images").iterdir():
        (tmp_path / path.name).write_bytes((folder / "images" / "p-000.tar").read_bytes()[:1000])
    dataset = open_labelled([tmp_path], folder / "labels.h5")
    with pytest.raises(ValueError, match=r"p-001\.tar is truncated or damaged"):
        dataset[EACH]
    with tarfile.open(tmp_path / "p-000.tar", "w") as made:
        made.addfile(tarfile.TarInfo("other.png"))
    with pytest.raises(ValueError, match=r"p-000\.tar has no image 0, which .*labels\.h5 labels"):
        dataset[0]
