"""Datasets of shapes, arrays, archives of older trainers and folders of pairs that are not what they say."""

import gzip
import io
import json
import os
import pickle
import tarfile

import numpy as np
import pytest

from magicpoint.data.hpatches import find_sequences, read_homography
from synthetic_shapes import ShapesDataset


def npy(array):
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def npy_header(text, body=b"", version=(1, 0)):
    text = text.encode("latin-1").ljust(118) + b"\n"
    size = len(text).to_bytes(2 if version == (1, 0) else 4, "little")
    return b"\x93NUMPY" + bytes(version) + size + text + body


FLOATS = "{'descr': '<f4', 'fortran_order': False, 'shape': %s, }"
ARRAYS = {
    "empty": b"",
    "text": b"1 2\n",
    "zeros": bytes(100),
    "the magic alone": b"\x93NUMPY",
    "an unknown version": npy_header(FLOATS % "(1, 2)", bytes(8), (9, 9)),
    "cut": npy(np.zeros((5, 2), np.float32))[:-3],
    "more than it says": npy(np.zeros((5, 2), np.float32)) + b"more",
    "no header": b"\x93NUMPY\x01\x00\xff\xff",
    "a header that is code": npy_header("__import__('os').mkdir('made')"),
    "a header that is a number": npy_header("1"),
    "a header that is null": npy_header("None"),
    "a header that is deep": npy_header("(" * 110),
    "a header without a shape": npy_header("{'descr': '<f4', 'fortran_order': False}"),
    "a shape of text": npy_header(FLOATS % "'ab'"),
    "a negative shape": npy_header(FLOATS % "(-1, 2)", bytes(8)),
    "a shape that is huge": npy_header(FLOATS % "(1099511627776, 2)", bytes(8)),
    "a shape that overflows": npy_header(FLOATS % "(4611686018427387904, 4)", bytes(8)),
    "a shape beyond all numbers": npy_header(FLOATS % "(10000000000000000000000000, 2)", bytes(8)),
    "a shape that is a bool": npy_header(FLOATS % "(True, 2)", bytes(8)),
    "a type that is none": npy_header("{'descr': 'nonsense', 'fortran_order': False, 'shape': (1, 2), }", bytes(8)),
    "a type that is a number": npy_header("{'descr': 7, 'fortran_order': False, 'shape': (1, 2), }", bytes(8)),
    "an order that is none": npy_header("{'descr': '<f4', 'fortran_order': 3, 'shape': (1, 2), }", bytes(8)),
    "objects": npy(np.array([{"a": 1}], object)),
    "a pickle": pickle.dumps([1, 2]),
    "an archive": b"PK\x03\x04" + bytes(60),
    "texts": npy(np.array([["a", "b"]])),
    "whole numbers": npy(np.zeros((3, 2), np.int64)),
    "doubles": npy(np.zeros((3, 2))),
    "complex numbers": npy(np.zeros((3, 2), np.complex64)),
    "records": npy(np.zeros(3, [("x", "<f4"), ("y", "<f4")])),
    "dates": npy(np.zeros((3, 2), "datetime64[s]")),
    "flat": npy(np.zeros(6, np.float32)),
    "three columns": npy(np.zeros((3, 3), np.float32)),
    "a scalar": npy(np.float32(1)),
    "three axes": npy(np.zeros((3, 2, 1), np.float32)),
    "NaN": npy(np.full((3, 2), np.nan, np.float32)),
    "infinite": npy(np.full((3, 2), np.inf, np.float32)),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_that_is_no_keypoints_is_refused_by_its_name(tmp_path, material, refused, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    folder = material.lay(material.dataset, tmp_path / "d")
    path = folder / "training" / "points" / "000001.npy"
    assert path.exists()
    path.write_bytes(ARRAYS[name])
    refused(ShapesDataset(folder, "training").__getitem__, 1, named="000001.npy")
    assert not (tmp_path / "made").exists()


IMAGES = {
    "empty": b"",
    "text": b"no image",
    "cut": lambda data: data[:-5],
    "changed": lambda data: data[:60] + bytes([data[60] ^ 1]) + data[61:],
    "a JPEG": b"\xff\xd8\xff\xd9",
}


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_of_a_dataset_that_is_damaged_is_refused_by_its_name(tmp_path, material, refused, name):
    folder = material.lay(material.dataset, tmp_path / "d")
    path = folder / "training" / "images" / "000002.png"
    content = IMAGES[name]
    path.write_bytes(content if isinstance(content, bytes) else content(path.read_bytes()))
    refused(ShapesDataset(folder, "training").__getitem__, 2, named="000002.png")


def change(**values):
    return lambda content: {**content, **values}


MANIFESTS = {
    "empty": "",
    "text": "word",
    "null": "null",
    "a list": "[]",
    "a number": "5",
    "cut": '{"format": 2',
    "nested deeply": "[" * 100_000,
    "a long number": '{"format": ' + "9" * 5000 + "}",
    "no text": b"\xff\xfe\x00",
    "no format": lambda content: {name: value for name, value in content.items() if name != "format"},
    "another format": change(format=99),
    "format is text": change(format="2"),
    "format is true": change(format=True),
    "format is a list": change(format=[2]),
    "no splits": lambda content: {name: value for name, value in content.items() if name != "splits"},
    "an unknown entry": change(more=1),
    "splits are a list": change(splits=[4, 1, 1]),
    "splits are null": change(splits=None),
    "splits are empty": change(splits={}),
    "a count is text": change(splits={"training": "4"}),
    "a count is negative": change(splits={"training": -4}),
    "a count is fractional": change(splits={"training": 4.5}),
    "a count is null": change(splits={"training": None}),
    "a count is true": change(splits={"training": True}),
    "a count is huge": change(splits={"training": 10**12}),
    "more than there are": change(splits={"training": 5, "validation": 1, "test": 1}),
    "a split that climbs": change(splits={"../../training": 4}),
    "a split that is absolute": change(splits={"/training": 4}),
    "a split without a name": change(splits={"": 4}),
    "size_hw is text": change(size_hw="48x64"),
    "size_hw is one number": change(size_hw=[48]),
    "size_hw is negative": change(size_hw=[-48, 64]),
    "size_hw is zero": change(size_hw=[0, 0]),
    "size_hw is fractional": change(size_hw=[48.5, 64]),
    "size_hw is huge": change(size_hw=[10**9, 10**9]),
    "size_hw is another": change(size_hw=[64, 48]),
    "digest is a number": change(digest=5),
    "digest is another": change(digest="0" * 64),
    "settings are a list": change(settings=[1]),
    "settings are text": change(settings="x"),
    "settings are empty": change(settings={}),
    "settings are unknown": lambda content: {**content, "settings": {**content["settings"], "more": 1}},
    "settings contradict the counts": lambda content: {**content, "settings": {**content["settings"], "count": 3}},
    "settings contradict the size": lambda content: {
        **content,
        "settings": {**content["settings"], "shapes": {**content["settings"]["shapes"], "size_hw": [64, 64]}},
    },
    "shapes are unknown": lambda content: {
        **content,
        "settings": {**content["settings"], "shapes": {**content["settings"]["shapes"], "shapes": ["dragon"]}},
    },
    "versions are a list": change(versions=[1]),
    "source is a number": change(source=5),
}


def verify(folder):
    """All that is read of a dataset."""
    dataset = ShapesDataset(folder, "training")
    dataset.verify(workers=1)
    return [dataset[index] for index in range(len(dataset))]


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_description_that_is_none_is_refused(tmp_path, material, refused, name):
    folder = material.lay(material.dataset, tmp_path / "d")
    path, new = folder / "dataset.json", MANIFESTS[name]
    if callable(new):
        new = json.dumps(new(json.loads(path.read_text())))
    path.write_bytes(new if isinstance(new, bytes) else new.encode())
    # What it contradicts is a file of the folder, which may be the one that is named.
    refused(verify, folder, named="d")


@pytest.mark.parametrize("kind", ["training/images", "training/points"])
def test_a_file_that_a_dataset_lacks_is_named(tmp_path, material, refused, kind):
    folder = material.lay(material.dataset, tmp_path / "d")
    next(path for path in sorted((folder / kind).iterdir()) if "000003" in path.name).unlink()
    refused(verify, folder, named="000003")


@pytest.mark.parametrize("name", ["a description", "an array", "an image", "a FIFO"])
def test_training_on_a_damaged_dataset_names_the_file(attack, material, name):
    folder = material.lay(material.dataset, attack.folder / "d")
    sample = {
        "a description": "dataset.json",
        "an array": "000001.npy",
        "an image": "000001.png",
        "a FIFO": "000001.png",
    }
    path = next(iter(sorted(folder.rglob(sample[name]), key=lambda path: "training" not in str(path))))
    path.unlink()
    if name == "a FIFO":
        if not hasattr(os, "mkfifo"):
            pytest.skip("no such files here")
        os.mkfifo(path)
    else:
        path.write_bytes(b"damaged")
    words = ["--steps", "4", "--batch_size", "4", "--model.width", "0.125", "--workers", "0"]
    attack(
        ["train", "run", "--dataset", "d", *words, "--shapes.size_hw", "48x64"], named=sample[name], changes=["run/"]
    )


HOMOGRAPHIES = {
    "empty": "",
    "text": "a b c\nd e f\ng h i\n",
    "NaN": "1 0 nan\n0 1 0\n0 0 1\n",
    "infinite": "1 0 inf\n0 1 0\n0 0 1\n",
    "too large for a number": "1 0 1e999\n0 1 0\n0 0 1\n",
    "two rows": "1 0 0\n0 1 0\n",
    "four rows": "1 0 0\n0 1 0\n0 0 1\n0 0 0\n",
    "two columns": "1 0\n0 1\n0 0\n",
    "uneven": "1 0 0\n0 1\n0 0 1\n",
    "one line": "1 0 0 0 1 0 0 0 1\n",
    "commas": "1,0,0\n0,1,0\n0,0,1\n",
    "brackets": "[[1 0 0]\n[0 1 0]\n[0 0 1]]\n",
    "complex": "1j 0 0\n0 1 0\n0 0 1\n",
    "singular": "1 0 0\n0 0 0\n0 0 1\n",
    "all zero": "0 0 0\n0 0 0\n0 0 0\n",
    "nearly singular": "1 0 0\n0 1e-300 0\n0 0 1\n",
    "the corner at infinity": "1 0 0\n0 1 0\n1 0 0\n",
    "a header": "3 3\n1 0 0\n0 1 0\n0 0 1\n",
    "a NUL": "1 0 0\0\n0 1 0\n0 0 1\n",
    "a long number": "9" * 100_000 + " 0 0\n0 1 0\n0 0 1\n",
    "no text": b"\xff\xfe1 0 0",
    "UTF-16": "1 0 0\n0 1 0\n0 0 1\n".encode("utf-16"),
    "an array": npy(np.eye(3)),
    "many lines": "1 0 0\n" * 100_000,
}


@pytest.mark.parametrize("name", HOMOGRAPHIES)
def test_a_homography_that_is_none_is_refused_by_its_name(tmp_path, refused, name):
    content = HOMOGRAPHIES[name]
    path = tmp_path / "H_1_2"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    refused(read_homography, path, named="H_1_2")


def without(name):
    return lambda folder: (folder / name).unlink()


def add(name, content):
    return lambda folder: (folder / name).write_bytes(content)


def as_folder(name):
    def change(folder):
        (folder / name).unlink()
        (folder / name).mkdir()

    return change


PAIRS = {
    "no reference": (without("1.png"), "1.png"),
    "no homography": (without("H_1_2"), "H_1_2"),
    "no second image": (without("2.png"), "H_1_2"),
    "an image twice": (add("2.ppm", b""), "2.p"),
    "a homography too many": (add("H_1_9", b""), "H_1_9"),
    "an image without a homography": (add("9.png", b""), "H_1_9"),
    "a homography is a folder": (as_folder("H_1_2"), "H_1_2"),
    "an image number beyond all": (add(f"{'9' * 60}.png", b""), "H_1_"),
}


@pytest.mark.parametrize("name", PAIRS)
def test_a_sequence_that_lacks_something_is_refused_by_its_name(tmp_path, material, refused, name):
    folder = material.lay(material.pairs, tmp_path / "pairs")
    spoil, named = PAIRS[name]
    spoil(folder / "v_one")
    refused(find_sequences, folder, named=named)


@pytest.mark.parametrize("what", ["homography", "image", "cut image", "reference"])
def test_an_evaluation_names_the_file_of_a_pair_that_is_damaged(tiny, material, what):
    folder = material.lay(material.pairs, tiny.folder / "pairs") / "v_one"
    name = {"homography": "H_1_2", "image": "2.png", "cut image": "2.png", "reference": "1.png"}[what]
    (folder / name).write_bytes(material.png[:-9] if what == "cut image" else b"1 0 word")
    words = ["evaluate", "pairs", "--out", "e", "--weights", "tiny.safetensors", "--methods"]
    tiny(words, named=name)
    assert not (tiny.folder / "e").exists() or not any((tiny.folder / "e").iterdir())


def archive(*members, damage=lambda data: data):
    """A .tar.gz of members, (TarInfo, content) each."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for info, content in members:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return damage(file.getvalue())


def member(name, kind=tarfile.REGTYPE, target="", content=b"x"):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info, content if kind == tarfile.REGTYPE else b""


def old_time():
    info, content = member("draw_lines/images/training/0.png")
    info.mtime = 2**40
    return info, content


ARCHIVES = {
    "empty": b"",
    "text": b"no archive",
    "only gzip": gzip.compress(b"text"),
    "cut": archive(member("draw_lines/a"), damage=lambda data: data[: len(data) // 2]),
    "changed": archive(member("draw_lines/a", content=os.urandom(3000)), damage=lambda d: d[:50] + b"XXXX" + d[54:]),
    "climbing": archive(member("../made")),
    "absolute": archive(member("/tmp/made-by-an-attack")),
    "a link that climbs": archive(member("draw_lines", tarfile.SYMTYPE, "../.."), member("draw_lines/made")),
    "a hard link that climbs": archive(member("draw_lines/a", tarfile.LNKTYPE, "../../a.png")),
    "a device": archive(member("draw_lines/a", tarfile.CHRTYPE)),
    "a FIFO": archive(member("draw_lines/images/training/0.png", tarfile.FIFOTYPE)),
    "nothing of use": archive(member("notes.txt")),
    "a time beyond all": archive(old_time()),
    "a name of thousands": archive(member("draw_lines/" + "x" * 5000)),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_an_archive_that_is_damaged_or_climbs_is_refused_by_its_name(attack, material, name):
    (attack.folder / "a.png").write_bytes(material.png)
    (attack.folder / "in").mkdir()
    (attack.folder / "in" / "draw_lines.tar.gz").write_bytes(ARCHIVES[name])
    attack(["convert", "in", "out"], named="in")
    assert not (attack.folder / "made").exists()
    assert not (attack.folder / "out").exists()
    assert not os.path.exists("/tmp/made-by-an-attack")
