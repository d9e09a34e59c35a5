"""Labelled images as samples: what belongs together stays together, and what does not fit is named."""

import math
import pickle

import cv2
import numpy as np
import pytest
import torch

from magicpoint.core.errors import InputError
from magicpoint.core.types import Labels
from magicpoint.data.labelled_images import LabelledImages, LabelledSource
from magicpoint.io.labels import LABELS
from magicpoint.io.records import write_records
from synthetic_shapes import ShapeSettings, render_sample

SHAPES = ShapeSettings(size_hw=(48, 64))


def write_images(folder, count):
    """Image i is grey level 10 i, of its own size."""
    folder.mkdir()
    for number in range(count):
        image = np.full((30 + number, 40), 10 * number, np.uint8)
        (folder / f"{number:02}.png").write_bytes(cv2.imencode(".png", image)[1].tobytes())


def write_labels(path, keys_and_sizes):
    """One keypoint at (number, 2 number + 1) in each image, whose first row is not valid."""
    records = {}
    for number, (key, (width, height)) in enumerate(keys_and_sizes):
        mask = torch.ones(height, width, dtype=torch.bool)
        mask[0] = False
        keypoints = torch.tensor([[float(number), 2.0 * number + 1.0]])
        records[key] = Labels(keypoints, torch.tensor([0.5]), None, (width, height), mask)
    write_records(path, LABELS, records, {"skipped": "{}"})


@pytest.fixture
def folder(tmp_path):
    write_images(tmp_path / "images", 5)
    write_labels(tmp_path / "labels.h5", [(f"{n:02}.png", (40, 30 + n)) for n in range(4)])
    return tmp_path


def open_images(folder):
    return LabelledImages([folder / "images"], folder / "labels.h5")


def test_images_come_with_their_own_labels(folder):
    dataset = open_images(folder)
    assert len(dataset) == 4  # the fifth has no labels
    for number in range(4):
        image, keypoints, certainties, mask = dataset[number]
        assert image.dtype == np.uint8
        assert (image == 10 * number).all()
        assert keypoints.tolist() == [[number, 2 * number + 1]]
        assert certainties.tolist() == [1.0]
        assert image.shape == mask.shape == (30 + number, 40)
        assert not mask[0].any()
        assert mask[1:].all()
    assert pickle.loads(pickle.dumps(dataset))[2].keypoints.tolist() == [[2, 5]]


@pytest.mark.parametrize(("certain_score", "certainty"), [(0.0, 1.0), (1.0, 0.5), (0.625, 0.8), (0.5, 1.0), (0.1, 1.0)])
def test_a_score_becomes_a_certainty(folder, certain_score, certainty):
    dataset = LabelledImages([folder / "images"], folder / "labels.h5", certain_score)
    assert dataset[1].certainties == pytest.approx([certainty])  # all labels have the score 0.5


def test_what_does_not_fit_is_named(folder):
    with pytest.raises(ValueError, match=r"labels\.h5 labels 4 images, 3 of which are not in .*00\.png, such as 01"):
        LabelledImages([folder / "images" / "00.png"], folder / "labels.h5")
    write_labels(folder / "other.h5", [("00.png", (41, 30))])
    with pytest.raises(ValueError, match=r"00\.png is 40x30, but was labelled as 41x30 in .*other\.h5"):
        LabelledImages([folder / "images"], folder / "other.h5")[0]
    write_labels(folder / "none.h5", [])
    with pytest.raises(ValueError, match=r"none\.h5 labels no image"):
        LabelledImages([folder / "images"], folder / "none.h5")


def test_the_digest_tells_labels_apart(folder):
    first = open_images(folder).digest
    assert first == open_images(folder).digest
    write_labels(folder / "labels.h5", [(f"{n:02}.png", (40, 30 + n)) for n in (1, 0, 2, 3)])
    assert open_images(folder).digest != first


@pytest.mark.parametrize(
    ("count", "held_out"), [(2, 1), (5, 1), (12, 3), (31, 7), (32, 8), (160, 8), (200, 10), (2000, 64)]
)
def test_some_images_are_held_out(count, held_out, monkeypatch, folder):
    monkeypatch.setattr(LabelledImages, "__len__", lambda self: count)
    training, validation = open_images(folder).split()
    assert len(validation) == held_out
    assert sorted(training + validation) == list(range(count))


def test_a_single_image_is_in_both_parts(monkeypatch, folder):
    monkeypatch.setattr(LabelledImages, "__len__", lambda self: 1)
    assert open_images(folder).split() == ([0], [0])


def test_each_image_comes_once_before_one_comes_twice(folder):
    source = LabelledSource(open_images(folder), [0, 2, 3], seed=1, shapes_share=0.0, shapes=SHAPES)
    rounds = [[int(source.sample(3 * epoch + i).image[0, 0]) // 10 for i in range(3)] for epoch in range(20)]
    assert all(sorted(seen) == [0, 2, 3] for seen in rounds)
    assert len({tuple(seen) for seen in rounds}) > 1
    # A sample does not depend on which were asked for before.
    again = LabelledSource(open_images(folder), [0, 2, 3], seed=1, shapes_share=0.0, shapes=SHAPES)
    assert int(again.sample(31).image[0, 0]) // 10 == rounds[10][1]


def test_a_share_of_the_samples_are_shapes(folder):
    source = LabelledSource(open_images(folder), [0, 1, 2, 3], seed=1, shapes_share=0.3, shapes=SHAPES)
    shapes = [index for index in range(400) if source.sample(index).image.shape == (48, 64)]
    assert 90 <= len(shapes) <= 150  # 120 are expected, with a standard deviation of 9
    image, keypoints, certainties, mask = source.sample(shapes[0])
    wanted_image, wanted_keypoints = render_sample(1, shapes[0], SHAPES)
    assert (image == wanted_image).all()
    assert (keypoints == wanted_keypoints).all()
    assert (certainties == 1).all()
    assert mask.all()


@pytest.mark.parametrize(("provenance", "white"), [({"range": "auto"}, 510), ({"range": "0,1020"}, 1020), ({}, 65535)])
def test_images_are_read_as_they_were_labelled(tmp_path, provenance, white):
    values = np.linspace(0, 510, 48 * 64).reshape(48, 64).astype(np.uint16)
    (tmp_path / "a.png").write_bytes(cv2.imencode(".png", values)[1].tobytes())
    mask = torch.ones(48, 64, dtype=torch.bool)
    labels = Labels(torch.zeros(1, 2), torch.ones(1), None, (64, 48), mask)
    write_records(tmp_path / "labels.h5", LABELS, {"a.png": labels}, {"skipped": "{}", **provenance})
    [sample] = LabelledImages([tmp_path / "a.png"], tmp_path / "labels.h5")
    assert sample.image.max() == pytest.approx(255 * 510 / white, abs=1)


@pytest.mark.parametrize(
    ("keypoint", "score", "said"),
    [
        ((math.nan, 3.0), 0.5, r"00\.png is damaged: keypoints has a value that is not a number"),
        ((math.inf, 3.0), 0.5, r"00\.png is damaged: keypoints has a value that is not a number"),
        ((39.6, 3.0), 0.5, r"a keypoint of 00\.png is at \(39\.59.*, 3\.0\), outside 40x30"),
        ((3.0, 29.6), 0.5, "outside 40x30"),
        ((-0.6, 3.0), 0.5, "outside 40x30"),
        ((3.0, 4.0), math.nan, r"00\.png is damaged: keypoint_scores has a value that is not"),
        ((3.0, 4.0), 1.1, r"a score of 00\.png is 1\.1.*, outside \[0, 1\]"),
        ((3.0, 4.0), -0.1, "a score of"),
    ],
)
def test_labels_that_cannot_be_are_refused_by_image(tmp_path, keypoint, score, said):
    write_images(tmp_path / "images", 1)
    labels = Labels(torch.tensor([keypoint]), torch.tensor([score]), None, (40, 30), torch.ones(30, 40, dtype=bool))
    write_records(tmp_path / "labels.h5", LABELS, {"00.png": labels})
    with pytest.raises(InputError, match=rf"labels\.h5: .*{said}"):
        open_images(tmp_path)[0]


def test_a_keypoint_on_a_masked_pixel_is_none(tmp_path):
    write_images(tmp_path / "images", 1)
    mask = torch.ones(30, 40, dtype=torch.bool)
    mask[:, 20:] = False
    keypoints = torch.tensor([[19.4, 3.0], [19.6, 3.0], [30.0, 3.0]])
    labels = Labels(keypoints, torch.tensor([0.5, 0.6, 0.7]), None, (40, 30), mask)
    write_records(tmp_path / "labels.h5", LABELS, {"00.png": labels})
    sample = LabelledImages([tmp_path / "images"], tmp_path / "labels.h5", 1.0)[0]
    assert sample.keypoints.tolist() == [pytest.approx([19.4, 3.0])]
    assert sample.certainties.tolist() == [0.5]
