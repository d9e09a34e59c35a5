"""HDF5 files of features and labels whose parts are missing, of other types, too large, or elsewhere.

Files of the first version have no index and are read by HDF5, so the attacks on the structure are on these; those of
today have one with checksums, and the attacks are on its bytes and on what it says with right checksums.
"""

import json
import struct
import sys
import zlib

import h5py
import numpy as np
import pytest

from magicpoint.core.errors import InputError
from magicpoint.io import record_probe, records
from magicpoint.io.features import read_features
from magicpoint.io.labels import read_labels


@pytest.fixture(autouse=True)
def no_process(monkeypatch):
    """HDF5 gets through these files, so that they need not be tried in a process of their own, half a second each."""
    monkeypatch.setattr(records, "check_readable", lambda path, names: None)


READERS = {"features": read_features, "labels": read_labels}


def read_all(kind, path):
    """Every record of a file."""
    found = READERS[kind](path)
    return {key: found[key] for key in found}


def set_attribute(owner, name, value):
    def spoil(file):
        file[owner].attrs[name] = value

    return spoil


def drop_attribute(owner, name):
    def spoil(file):
        del file[owner].attrs[name]

    return spoil


def set_dataset(name, value, **options):
    def spoil(file):
        if name in file:
            del file[name]
        file.create_dataset(name, data=value, **options)

    return spoil


def drop(name):
    def spoil(file):
        del file[name]

    return spoil


def declare(name, shape, dtype, **options):
    """A dataset that claims a shape and holds nothing."""

    def spoil(file):
        del file[name]
        file.create_dataset(name, shape, dtype, **options)

    return spoil


def link(name, target):
    def spoil(file):
        if name in file:
            del file[name]
        file[name] = target

    return spoil


def external_storage(file):
    del file["a.png/keypoints"]
    file.create_dataset("a.png/keypoints", (20, 2), np.float32, external=[("/etc/passwd", 0, 160)])


def virtual(file):
    del file["a.png/keypoints"]
    layout = h5py.VirtualLayout((20, 2), np.float32)
    layout[:] = h5py.VirtualSource("elsewhere.h5", "secret", (20, 2))
    file.create_virtual_dataset("a.png/keypoints", layout)


def as_group(name):
    def spoil(file):
        del file[name]
        file.create_group(name)

    return spoil


POINTS = np.ones((20, 2), np.float32)
SPOILED = {
    "no format": drop_attribute("/", "format"),
    "format is a number": set_attribute("/", "format", 1),
    "format is an array": set_attribute("/", "format", [1.5, 2.5]),
    "format is bytes that are no text": set_attribute("/", "format", np.void(b"\xff\xfe")),
    "format is empty": set_attribute("/", "format", h5py.Empty("f")),
    "format of a later version": set_attribute("/", "format", "magicpoint-features-999"),
    "no skipped": drop_attribute("/", "skipped"),
    "skipped is no JSON": set_attribute("/", "skipped", "{"),
    "skipped is a number": set_attribute("/", "skipped", 3),
    "skipped is an array": set_attribute("/", "skipped", ["{}", "{}"]),
    "skipped is nested deeply": set_attribute("/", "skipped", "[" * 20_000),
    "skipped is a long number": set_attribute("/", "skipped", '{"a": ' + "9" * 5000 + "}"),
    "image_size is text": set_attribute("a.png", "image_size", "64x48"),
    "image_size is one number": set_attribute("a.png", "image_size", 64),
    "image_size has three": set_attribute("a.png", "image_size", [64, 48, 3]),
    "image_size is NaN": set_attribute("a.png", "image_size", [np.nan, 48.0]),
    "image_size is fractional": set_attribute("a.png", "image_size", [64.5, 48.0]),
    "image_size is negative": set_attribute("a.png", "image_size", [-64, 48]),
    "image_size is zero": set_attribute("a.png", "image_size", [0, 48]),
    "image_size is huge": set_attribute("a.png", "image_size", [2**62, 2**62]),
    "image_size is unsigned and huge": set_attribute("a.png", "image_size", np.array([2**64 - 1, 48], np.uint64)),
    "image_size is complex": set_attribute("a.png", "image_size", [64j, 48j]),
    "image_size is empty": set_attribute("a.png", "image_size", h5py.Empty("f")),
    "image_size is a reference": lambda file: file["a.png"].attrs.create("image_size", file.ref, dtype=h5py.ref_dtype),
    "no keypoint_scores": drop("a.png/keypoint_scores"),
    "keypoints are a group": as_group("a.png/keypoints"),
    "scores are a group": as_group("a.png/keypoint_scores"),
    "keypoints are text": set_dataset("a.png/keypoints", ["a"] * 20),
    "keypoints are whole": set_dataset("a.png/keypoints", np.ones((20, 2), np.int64)),
    "keypoints are complex": set_dataset("a.png/keypoints", np.ones((20, 2), np.complex64)),
    "keypoints are a scalar": set_dataset("a.png/keypoints", np.float32(1)),
    "keypoints are flat": set_dataset("a.png/keypoints", np.ones(40, np.float32)),
    "keypoints have three columns": set_dataset("a.png/keypoints", np.ones((20, 3), np.float32)),
    "keypoints are fewer": set_dataset("a.png/keypoints", np.ones((19, 2), np.float32)),
    "keypoints are NaN": set_dataset("a.png/keypoints", np.full((20, 2), np.nan, np.float32)),
    "keypoints are infinite": set_dataset("a.png/keypoints", np.full((20, 2), np.inf, np.float32)),
    "keypoints are a compound": set_dataset("a.png/keypoints", np.zeros(20, [("x", "<f4"), ("y", "<f4")])),
    "keypoints are empty": set_dataset("a.png/keypoints", h5py.Empty("f")),
    "scores are more": set_dataset("a.png/keypoint_scores", np.ones(21, np.float32)),
    "scores are NaN": set_dataset("a.png/keypoint_scores", np.full(20, np.nan, np.float32)),
    "scores are 2-D": set_dataset("a.png/keypoint_scores", np.ones((20, 1), np.float32)),
    "scores are text": set_dataset("a.png/keypoint_scores", ["high"] * 20),
    "keypoints are declared huge": declare("a.png/keypoints", (2**40, 2), np.float32, chunks=(1024, 2)),
    "scores are declared huge": declare("a.png/keypoint_scores", (2**40,), np.float32, chunks=(1024,)),
    "keypoints are a link to another file": link("a.png/keypoints", h5py.ExternalLink("other.h5", "/")),
    "keypoints link to themselves": link("a.png/keypoints", h5py.SoftLink("/a.png/keypoints")),
    "keypoints link to nothing": link("a.png/keypoints", h5py.SoftLink("/nowhere")),
    "scores are a link to another file": link("a.png/keypoint_scores", h5py.ExternalLink("other.h5", "/")),
    "keypoints lie in another file": external_storage,
    "keypoints are those of other files": virtual,
    "a key climbs": lambda file: file.copy("a.png", "x/../../y.png"),
    "a key is absolute on Windows": lambda file: file.copy("a.png", "C:/y.png"),
    "a key has a backslash": lambda file: file.copy("a.png", "x\\y.png"),
    "a key is a dot": lambda file: file.copy("a.png", "x/. /y"),
}
NOT_SPOILED = {"a key is a dot"}
OF_LABELS = {
    "no valid_mask": drop("a.png/valid_mask"),
    "valid_mask is too short": set_dataset("a.png/valid_mask", np.zeros(10, np.uint8)),
    "valid_mask is too long": set_dataset("a.png/valid_mask", np.zeros(10_000, np.uint8)),
    "valid_mask is float": set_dataset("a.png/valid_mask", np.zeros(384, np.float32)),
    "valid_mask is 2-D": set_dataset("a.png/valid_mask", np.zeros((48, 8), np.uint8)),
    "valid_mask is text": set_dataset("a.png/valid_mask", "mask"),
    "valid_mask is a group": as_group("a.png/valid_mask"),
    "valid_mask is declared huge": declare("a.png/valid_mask", (2**42,), np.uint8, chunks=(4096,), compression="gzip"),
}
OF_FEATURES = {
    "descriptors are fewer": set_dataset("a.png/descriptors", np.ones((19, 32), np.float32)),
    "descriptors are flat": set_dataset("a.png/descriptors", np.ones(640, np.float32)),
    "descriptors are NaN": set_dataset("a.png/descriptors", np.full((20, 32), np.nan, np.float32)),
    "descriptors are a group": as_group("a.png/descriptors"),
    "descriptors are text": set_dataset("a.png/descriptors", ["a"] * 20),
    "descriptors are declared huge": declare("a.png/descriptors", (20, 2**40), np.float32, chunks=(20, 1024)),
}
CASES = [(kind, name) for kind in READERS for name in SPOILED if name not in NOT_SPOILED]
CASES += [("labels", name) for name in OF_LABELS] + [("features", name) for name in OF_FEATURES]


def first_version(kind, path):
    """A file as version 0.1.0 wrote it."""
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        file.attrs.update({"format": f"magicpoint-{kind}-1", "skipped": "{}", "weights": "w"})
        for key in ("a.png", "b/c.png"):
            group = file.create_group(key)
            group.attrs["image_size"] = np.array([64, 48])
            group["keypoints"] = rng.uniform(0, 47, (20, 2)).astype(np.float32)
            group["keypoint_scores"] = np.linspace(0.9, 0.1, 20, dtype=np.float32)
            if kind == "labels":
                group.create_dataset("valid_mask", data=np.full(384, 255, np.uint8), compression="gzip")
            else:
                group["descriptors"] = np.full((20, 32), 32**-0.5, np.float32)
    return path


def spoiled(kind, name, folder):
    path = first_version(kind, folder / f"{kind}.h5")
    with h5py.File(path, "a") as file:
        ({**SPOILED, **OF_LABELS, **OF_FEATURES})[name](file)
    return path


@pytest.mark.parametrize("kind", READERS)
def test_a_file_of_the_first_version_is_read(tmp_path, kind):
    found = read_all(kind, first_version(kind, tmp_path / "x.h5"))
    assert {key: len(record) for key, record in found.items()} == {"a.png": 20, "b/c.png": 20}


@pytest.mark.parametrize(("kind", "name"), CASES, ids=[f"{kind}: {name}" for kind, name in CASES])
def test_a_spoiled_file_is_refused_by_its_name(tmp_path, refused, kind, name):
    refused(read_all, kind, spoiled(kind, name, tmp_path), named=f"{kind}.h5")


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("share", [0.0, 0.001, 0.01, 0.1, 0.5, 0.9, 0.999])
def test_a_cut_file_is_refused_by_its_name(tmp_path, material, refused, kind, share):
    data = getattr(material, kind)
    path = tmp_path / f"{kind}.h5"
    path.write_bytes(data[: int(len(data) * share)])
    refused(read_all, kind, path, named=f"{kind}.h5")


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("content", [b"", b"text", b"\x89HDF\r\n\x1a\n", b"\x89PNG\r\n\x1a\n", bytes(4096)], ids=repr)
def test_what_is_no_such_file_is_refused(tmp_path, refused, kind, content):
    path = tmp_path / "x.h5"
    path.write_bytes(content)
    refused(read_all, kind, path, named="x.h5")


@pytest.mark.parametrize("kind", READERS)
def test_a_file_of_the_other_kind_is_refused(tmp_path, material, refused, kind):
    other = "labels" if kind == "features" else "features"
    path = tmp_path / "x.h5"
    path.write_bytes(getattr(material, other))
    refused(read_all, kind, path, named="x.h5")


@pytest.mark.parametrize("kind", READERS)
def test_a_link_to_another_file_leads_nowhere(tmp_path, kind):
    """The keys are those of the file itself; what is linked is neither listed nor opened."""
    path = first_version(kind, tmp_path / "x.h5")
    with h5py.File(path, "a") as file:
        file["other.png"] = h5py.ExternalLink(str(first_version(kind, tmp_path / "other.h5")), "/a.png")
        file["again"] = h5py.SoftLink("/")
        file["hard"] = file["/"]
        file["a.png/self"] = file["a.png"]
    assert sorted(read_all(kind, path)) == ["a.png", "b/c.png"]


def same(found, true):
    return found.keys() == true.keys() and all(
        found[key].image_size == true[key].image_size
        and found[key].keypoints.equal(true[key].keypoints)
        and found[key].keypoint_scores.equal(true[key].keypoint_scores)
        and (others_of(found[key]) == others_of(true[key]))
        for key in true
    )


def others_of(record):
    """What only features or only labels have."""
    return [
        None if (values := getattr(record, name, None)) is None else values.numpy().tobytes()
        for name in ("descriptors", "valid_mask")
    ]


@pytest.mark.parametrize("kind", READERS)
def test_no_changed_byte_passes_unnoticed(tmp_path, material, kind):
    """A bit of some hundred bytes, one at a time: the file is refused, or the records are those that were written."""
    data, path = getattr(material, kind), tmp_path / "x.h5"
    path.write_bytes(data)
    true = read_all(kind, path)
    refusals = 0
    for place in range(0, len(data), max(1, len(data) // 300)):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1 :])
        try:
            found = read_all(kind, path)
        except InputError:
            refusals += 1
        else:
            assert same(found, true), f"byte {place}"
    assert refusals


INDEX = {
    "null": None,
    "a list": [],
    "a number": 1,
    "nothing": {},
    "an unknown entry": {"more": 1},
    "format is a number": {"format": 1},
    "format is null": {"format": None},
    "provenance is a list": {"provenance": [1]},
    "provenance is a number": {"provenance": 1},
    "provenance holds a number": {"provenance": {"weights": 1}},
    "skipped is a list": {"skipped": ["x"]},
    "skipped is null": {"skipped": None},
    "skipped holds a number": {"skipped": {"x.png": 1}},
    "records are null": {"records": None},
    "records are a list": {"records": [[64, 48]]},
    "a record is null": {"records": {"a.png": None}},
    "a record is a number": {"records": {"a.png": 1}},
    "a record is empty": {"records": {"a.png": []}},
    "a record is an object": {"records": {"a.png": {"2": 1}}},
    "a record is short": {"records": {"a.png": [64, 48, None, 0]}},
    "a key climbs": {"records": {"../a.png": [64, 48, None, 0, {}]}},
    "a key is absolute": {"records": {"/a.png": [64, 48, None, 0, {}]}},
    "a key is empty": {"records": {"": [64, 48, None, 0, {}]}},
    "no fields": {"records": {"a.png": [64, 48, None, 0, {}]}},
    "fields are null": {"records": {"a.png": [64, 48, None, 0, None]}},
    "a field is null": {"records": {"a.png": [64, 48, None, 0, {"keypoints": None}]}},
    "a digest is a number": {"records": {"a.png": [64, 48, 5, 0, {}]}},
    "a digest is a list": {"records": {"a.png": [64, 48, [], 0, {}]}},
}
"""What an index says, with the right checksum, instead of or beside what it said."""
RECORD = {
    "image_size is text": lambda record: [*"64", *record[2:]],
    "image_size is negative": lambda record: [-64, 48, *record[2:]],
    "image_size is null": lambda record: [None, None, *record[2:]],
    "image_size is fractional": lambda record: [64.5, 48, *record[2:]],
    "image_size is NaN": lambda record: [float("nan"), 48, *record[2:]],
    "image_size is huge": lambda record: [2**70, 2**70, *record[2:]],
    "the checksum is null": lambda record: [*record[:3], None, record[4]],
    "the checksum is another": lambda record: [*record[:3], record[3] ^ 1, record[4]],
}
FIELD = {
    "an unknown type": lambda field: ["<f8", *field[1:]],
    "an object type": lambda field: ["|O", *field[1:]],
    "a type that is no text": lambda field: [["<f4"], *field[1:]],
    "a shape that is no list": lambda field: [field[0], 40, *field[2:]],
    "a shape that is text": lambda field: [field[0], "40", *field[2:]],
    "another shape": lambda field: [field[0], [40], *field[2:]],
    "a negative shape": lambda field: [field[0], [-20, -2], *field[2:]],
    "a huge shape": lambda field: [field[0], [2**40, 2], *field[2:]],
    "a shape that overflows": lambda field: [field[0], [2**62, 4], *field[2:]],
    "a shape of thousands": lambda field: [field[0], [1] * 5000, *field[2:]],
    "a negative place": lambda field: [*field[:2], -1, field[3]],
    "a place behind the end": lambda field: [*field[:2], 2**40, field[3]],
    "a place beyond all files": lambda field: [*field[:2], 2**80, field[3]],
    "another place": lambda field: [*field[:2], field[2] + 8, field[3]],
    "more bytes than there are": lambda field: [*field[:3], 2**40],
    "fewer bytes": lambda field: [*field[:3], 8],
    "no bytes": lambda field: [*field[:3], 0],
}


def with_index(data, change):
    """A file whose index says something else, with a right checksum."""
    magic, length, _ = struct.unpack("<8sQI", data[-20:])
    index = json.loads(data[-20 - length : -20])
    text = json.dumps(change(index)).encode()
    return data[: -20 - length] + text + struct.pack("<8sQI", magic, len(text), zlib.crc32(text))


def changed(index, name):
    if name in INDEX:
        return {**index, **INDEX[name]} if isinstance(INDEX[name], dict) and INDEX[name] else INDEX[name]
    record = index["records"]["a.png"]
    if name in RECORD:
        index["records"]["a.png"] = RECORD[name](record)
    else:
        record[4]["keypoints"] = FIELD[name](record[4]["keypoints"])
    return index


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("name", [*INDEX, *RECORD, *FIELD])
def test_an_index_that_says_what_cannot_be_is_refused(tmp_path, material, refused, kind, name):
    path = tmp_path / f"{kind}.h5"
    path.write_bytes(with_index(getattr(material, kind), lambda index: changed(index, name)))
    refused(read_all, kind, path, named=f"{kind}.h5")


@pytest.mark.parametrize("text", [b"[" * 100_000, b"\xff" * 100, b"{" + b" " * 100, b"1" * 5000, b""], ids=len)
def test_an_index_that_is_no_json_is_refused(tmp_path, material, refused, text):
    path = tmp_path / "x.h5"
    path.write_bytes(material.features + text + struct.pack("<8sQI", b"MGPTIDX2", len(text), zlib.crc32(text)))
    refused(read_all, "features", path, named="x.h5")


@pytest.mark.parametrize("length", [0, 1, 2**31, 2**63, 2**64 - 1])
def test_an_index_of_another_length_is_refused(tmp_path, material, refused, length):
    path = tmp_path / "x.h5"
    path.write_bytes(material.features[:-20] + struct.pack("<8sQI", b"MGPTIDX2", length, 0))
    refused(read_all, "features", path, named="x.h5")


@pytest.mark.slow
@pytest.mark.parametrize("kind", READERS)
def test_a_file_of_the_first_version_is_tried_in_a_process_of_its_own(tmp_path, kind):
    path = first_version(kind, tmp_path / "x.h5")
    record_probe.check_readable(path, ["keypoints"])
    path.write_bytes(path.read_bytes()[:1000])
    record_probe.check_readable(path, ["keypoints"])  # damage is for the reader to find


@pytest.mark.parametrize("kind", READERS)
def test_hdf5_that_hangs_ends_in_a_refusal(tmp_path, monkeypatch, refused, kind):
    monkeypatch.setattr(records, "check_readable", record_probe.check_readable)
    monkeypatch.setattr(record_probe, "SECONDS", 0.001)
    refused(read_all, kind, first_version(kind, tmp_path / "x.h5"), named=["x.h5", "HDF5 does not get through it"])


@pytest.mark.skipif(sys.platform == "win32", reason="a script of a shell")
def test_hdf5_that_crashes_ends_in_a_refusal(tmp_path, monkeypatch, refused):
    crashing = tmp_path / "crashing"
    crashing.write_text("#!/bin/sh\nkill -SEGV $$\n")
    crashing.chmod(0o700)
    monkeypatch.setattr(records, "check_readable", record_probe.check_readable)
    monkeypatch.setattr(sys, "executable", str(crashing))
    refused(read_all, "labels", first_version("labels", tmp_path / "x.h5"), named=["x.h5", "HDF5 crashes on it"])
