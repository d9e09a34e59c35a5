"""Weights that are cut, changed, of other shapes, of pickles, of no numbers, or without what they must say."""

import json
import os
import pickle
import struct

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save

from magicpoint.interop.checkpoints import load_checkpoint
from magicpoint.model.weights import load_weights


def repacked(path, metadata=None, tensors=None):
    """A file's content with some of its parts replaced; None as a value leaves a part out."""
    with safe_open(path, "pt") as file:
        header = {**file.metadata(), **(metadata or {})}
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    for name, change in (tensors or {}).items():
        weights[name] = change(weights[name]) if name in weights else change(torch.zeros(1))
    return save(
        {name: value.contiguous() for name, value in weights.items() if value is not None},
        {name: value for name, value in header.items() if value is not None},
    )


def model(**changes):
    settings = {"width": 0.125, "batch_norm": "hidden", "descriptor_dim": 32}
    return {"model": json.dumps({**settings, **changes})}


METADATA = {
    "no format": {"format": None},
    "another format": {"format": "magicpoint-999"},
    "no model": {"model": None},
    "model is no JSON": {"model": "{"},
    "model is null": {"model": "null"},
    "model is a list": {"model": "[]"},
    "model is text": {"model": '"x"'},
    "model is nested deeply": {"model": "[" * 20_000},
    "model has a long number": {"model": '{"width": ' + "9" * 5000 + "}"},
    "no width": {"model": "{}"},
    "width is NaN": {"model": '{"width": NaN, "batch_norm": "hidden", "descriptor_dim": 32}'},
    "width is text": model(width="wide"),
    "width is negative": model(width=-1),
    "width is huge": model(width=1e9),
    "width is null": model(width=None),
    "another width": model(width=0.25),
    "descriptor_dim is huge": model(descriptor_dim=10**12),
    "descriptor_dim is negative": model(descriptor_dim=-1),
    "descriptor_dim is text": model(descriptor_dim="many"),
    "descriptors that are not there": model(descriptor_dim=64),
    "no descriptors where there are": model(descriptor_dim=0),
    "another batch_norm": model(batch_norm="none"),
    "an unknown batch_norm": model(batch_norm="word"),
    "an unknown setting": model(no_such_setting=1),
    "another architecture": {"architecture": "quads"},
    "no provenance": {"provenance": None},
    "provenance is no JSON": {"provenance": "{"},
    "provenance is a list": {"provenance": "[]"},
    "provenance is a number": {"provenance": "1"},
    "provenance is nested deeply": {"provenance": "[" * 20_000},
}
TENSORS = {
    "a tensor is missing": lambda value: None,
    "a tensor is NaN": lambda value: torch.full_like(value, torch.nan),
    "a tensor is infinite": lambda value: torch.full_like(value, torch.inf),
    "one number is NaN": lambda value: value.index_fill(0, torch.tensor([0]), torch.nan),
    "a tensor is larger": lambda value: torch.zeros(*value.shape[:-1], value.shape[-1] + 1),
    "a tensor is flat": lambda value: value.flatten(),
    "a tensor is a scalar": lambda value: torch.tensor(1.0),
    "a tensor is empty": lambda value: torch.zeros(0),
    "a tensor is complex": lambda value: value.to(torch.complex64),
}


@pytest.mark.parametrize("name", METADATA)
def test_weights_that_say_something_else_are_refused_by_their_name(tmp_path, material, refused, name):
    path = tmp_path / "w.safetensors"
    path.write_bytes(repacked(material.folder / "weights.safetensors", METADATA[name]))
    refused(load_weights, path, named="w.safetensors")


@pytest.mark.parametrize("name", TENSORS)
def test_weights_with_other_tensors_are_refused_by_their_name(tmp_path, material, refused, name):
    with safe_open(material.folder / "weights.safetensors", "pt") as file:
        first = min(file.keys())
    path = tmp_path / "w.safetensors"
    path.write_bytes(repacked(material.folder / "weights.safetensors", None, {first: TENSORS[name]}))
    refused(load_weights, path, named="w.safetensors")


def changed(material, path, ending, change):
    """Weights of which the tensors with names of that ending are others."""
    with safe_open(material.folder / "weights.safetensors", "pt") as file:
        names = [name for name in file.keys() if name.endswith(ending)]  # noqa: SIM118 - it is no dict
    assert names
    path.write_bytes(repacked(material.folder / "weights.safetensors", None, dict.fromkeys(names, change)))


def test_a_variance_below_zero_is_refused(tmp_path, material, refused):
    changed(material, tmp_path / "w.safetensors", "running_var", torch.neg)
    refused(load_weights, tmp_path / "w.safetensors", named=["w.safetensors", "running_var"])


@pytest.mark.parametrize("verb", ["extract", "adapt", "match", "track"])
def test_weights_whose_values_overflow_are_named(tiny, material, verb):
    """Each of their numbers is finite; what the network makes of an image is not."""
    changed(material, tiny.folder / "huge.safetensors", ".weight", lambda value: value * 1e30)
    images = ["a.png", "a.png"] if verb == "match" else ["a.png"]
    tiny([verb, *images, "--weights", "huge.safetensors", "--out", "m.png" if verb == "match" else "out"], named="huge")


def test_weights_with_one_tensor_too_many_are_refused(tmp_path, material, refused):
    path = tmp_path / "w.safetensors"
    content = repacked(material.folder / "weights.safetensors", None, {"another": lambda value: value})
    path.write_bytes(content)
    refused(load_weights, path, named="w.safetensors")


def with_header(header, body=b""):
    return struct.pack("<Q", len(header)) + header + body


HEADERS = {
    "empty": b"",
    "text": b"no weights",
    "a length alone": struct.pack("<Q", 10),
    "a length of 2^63": struct.pack("<Q", 2**63) + b"{}",
    "a length of 2^40": struct.pack("<Q", 2**40) + b"{}",
    "no JSON": with_header(b"{"),
    "a list": with_header(b"[]"),
    "null": with_header(b"null"),
    "nothing in it": with_header(b"{}"),
    "no UTF-8": with_header(b'{"\xff": 1}'),
    "nested deeply": with_header(b'{"a":' * 5000),
    "metadata are a number": with_header(b'{"__metadata__": 1}'),
    "metadata are nested": with_header(b'{"__metadata__": {"format": {"a": 1}}}'),
    "offsets behind the end": with_header(b'{"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}'),
    "offsets backwards": with_header(b'{"a": {"dtype": "F32", "shape": [4], "data_offsets": [16, 0]}}', bytes(16)),
    "a shape that overflows": with_header(
        b'{"a": {"dtype": "F32", "shape": [4294967296, 4294967296, 4], "data_offsets": [0, 16]}}', bytes(16)
    ),
    "a negative shape": with_header(b'{"a": {"dtype": "F32", "shape": [-4], "data_offsets": [0, 16]}}', bytes(16)),
    "an unknown dtype": with_header(b'{"a": {"dtype": "F3", "shape": [4], "data_offsets": [0, 16]}}', bytes(16)),
    "a pickle": pickle.dumps({"a": 1}),
    "a ZIP file": b"PK\x03\x04" + bytes(100),
}


@pytest.mark.parametrize("name", HEADERS)
@pytest.mark.parametrize("read", [load_weights, lambda path: load_checkpoint(path, "s", "l")], ids=["load", "import"])
def test_what_is_no_file_of_weights_is_refused(tmp_path, refused, read, name):
    path = tmp_path / "w.safetensors"
    path.write_bytes(HEADERS[name])
    refused(read, path, named="w.safetensors")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.01, 0.1, 0.5, 0.99])
def test_weights_that_are_cut_are_refused(tmp_path, material, refused, share):
    path = tmp_path / "w.safetensors"
    path.write_bytes(material.weights[: int(len(material.weights) * share)])
    refused(load_weights, path, named="w.safetensors")


class Evil:
    """Would make a folder where it is unpickled."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


FOREIGN = {
    "a class": lambda folder: torch.save({"a": Evil(folder)}, folder.parent / "w.pth"),
    "a plain pickle of a class": lambda folder: (folder.parent / "w.pth").write_bytes(pickle.dumps(Evil(folder))),
    "a module": lambda folder: torch.save(torch.nn.Linear(2, 2), folder.parent / "w.pth"),
    "a list": lambda folder: torch.save([torch.zeros(2)], folder.parent / "w.pth"),
    "a tensor": lambda folder: torch.save(torch.zeros(2), folder.parent / "w.pth"),
    "numbers": lambda folder: torch.save({"a": 1, "b": 2}, folder.parent / "w.pth"),
    "nothing": lambda folder: torch.save({}, folder.parent / "w.pth"),
    "other names": lambda folder: torch.save({"a": torch.zeros(2)}, folder.parent / "w.pth"),
    "names that are numbers": lambda folder: torch.save({1: torch.zeros(2)}, folder.parent / "w.pth"),
    "a state of nothing": lambda folder: torch.save({"model_state_dict": None}, folder.parent / "w.pth"),
    "a state of text": lambda folder: torch.save({"model_state_dict": "x"}, folder.parent / "w.pth"),
    "empty": lambda folder: (folder.parent / "w.pth").write_bytes(b""),
    "text": lambda folder: (folder.parent / "w.pth").write_bytes(b"text"),
    "zeros": lambda folder: (folder.parent / "w.pth").write_bytes(bytes(1000)),
    "a ZIP file": lambda folder: (folder.parent / "w.pth").write_bytes(b"PK\x03\x04" + bytes(100)),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_checkpoint_runs_nothing_and_is_refused(tiny, name):
    FOREIGN[name](tiny.folder / "made")
    tiny(["import", "w.pth", "--out", "out.safetensors", "--source", "s", "--licence", "l"], named="w.pth")
    assert not (tiny.folder / "made").exists()
    assert not (tiny.folder / "out.safetensors").exists()


@pytest.mark.parametrize(
    "words",
    [
        ["extract", "a.png", "--out", "f.h5"],
        ["export", "--out", "w.onnx"],
        ["adapt", "a.png", "--out", "l.h5"],
        ["match", "a.png", "a.png", "--out", "m.png"],
        ["track", "a.png", "--out", "t"],
        ["evaluate", "--out", "e"],
        ["finetune", "a.png", "b.png", "--out", "f"],
    ],
    ids=lambda words: words[0],
)
@pytest.mark.parametrize("name", ["no provenance", "a tensor is NaN", "cut"])
def test_every_verb_refuses_such_weights_by_their_name(tiny, material, words, name):
    with safe_open(material.folder / "weights.safetensors", "pt") as file:
        first = min(file.keys())
    whole = material.folder / "weights.safetensors"
    content = {
        "cut": lambda: material.weights[:-10],
        "no provenance": lambda: repacked(whole, METADATA["no provenance"]),
        "a tensor is NaN": lambda: repacked(whole, None, {first: TENSORS["a tensor is NaN"]}),
    }[name]()
    (tiny.folder / "w.safetensors").write_bytes(content)
    (tiny.folder / "b.png").write_bytes(material.png)
    tiny([*words, "--weights", "w.safetensors"], named="w.safetensors")
