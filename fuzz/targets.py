"""What is fuzzed: a reader of each kind of file, called with any bytes.

A reader gives a sane result, or refuses with an error that the command line shows in one line. Everything else that it
raises is a finding.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from magicpoint.cli import main
from magicpoint.cli.settings_files import read_settings_file
from magicpoint.core.errors import InputError
from magicpoint.core.types import Features, Labels
from magicpoint.data.hpatches import read_homography
from magicpoint.interop.checkpoints import load_checkpoint
from magicpoint.io import records
from magicpoint.io.features import read_features, write_features
from magicpoint.io.images import decode_image
from magicpoint.io.intrinsics import read_intrinsics
from magicpoint.io.labels import LABELS, read_labels
from magicpoint.io.masks import decode_mask
from magicpoint.io.pairs import read_pairs
from magicpoint.io.reading import ImageReading
from magicpoint.io.records import write_records
from magicpoint.model.network import PointNetwork
from magicpoint.model.settings import ModelSettings
from magicpoint.model.weights import load_weights, save_weights
from magicpoint.training.state import load_state
from synthetic_shapes import DatasetError, DatasetSettings, ShapesDataset, ShapeSettings, generate_dataset
from synthetic_shapes.array_files import read_npy


def _refuse_plain(path: Path, names: Iterable[str]) -> None:
    raise InputError(f"{path} has no index: HDF5, which would read it, can be hung by it")


# Files without an index are read by HDF5, in a process that may hang or crash; that is no reader of this project.
records.check_readable = _refuse_plain
FOLDER = Path(tempfile.mkdtemp(prefix="fuzz-"))
REFUSALS = (InputError, DatasetError, FileNotFoundError)
SMALL = ImageReading(max_megapixels=4.0)


@dataclass(frozen=True)
class Target:
    """A reader.

    Args:
        seeds: Makes whole files to begin with.
        read: Reads any bytes; raises one of `REFUSALS` where it refuses them.
    """

    seeds: Callable[[], Iterable[bytes]]
    read: Callable[[bytes], object]


def of_file(read: Callable[[Path], object], name: str) -> Callable[[bytes], object]:
    """A reader of bytes by one of paths."""
    path = FOLDER / name

    def call(data: bytes) -> object:
        path.write_bytes(data)
        return read(path)

    return call


def _pictures() -> Iterable[bytes]:
    rng = np.random.default_rng(0)
    grey, colour = rng.integers(0, 256, (16, 24), np.uint8), rng.integers(0, 256, (16, 24, 4), np.uint8)
    deep = grey.astype(np.uint16) * 257
    for suffix, image in ((".png", grey), (".png", deep), (".png", colour), (".jpg", grey), (".jpg", colour[..., :3])):
        yield cv2.imencode(suffix, image)[1].tobytes()
    for suffix, image in ((".bmp", grey), (".pgm", grey), (".ppm", colour[..., :3]), (".tif", deep), (".webp", colour)):
        yield cv2.imencode(suffix, image)[1].tobytes()


def _read_picture(data: bytes) -> None:
    found = decode_image(data, Path("x"), SMALL)
    assert found.grey.dtype == np.float32
    assert found.grey.ndim == 2
    assert found.grey.size
    assert 0 <= found.grey.min() <= found.grey.max() <= 1


def _features() -> Features:
    rng = np.random.default_rng(0)
    points, scores = rng.uniform(0, 15, (3, 2)).astype(np.float32), np.array([0.9, 0.5, 0.1], np.float32)
    return Features(torch.from_numpy(points), torch.from_numpy(scores), torch.ones(3, 4) / 2, (24, 16))


def _labels() -> Labels:
    one = _features()
    mask = torch.ones(16, 24, dtype=torch.bool)
    return Labels(one.keypoints, one.keypoint_scores, None, one.image_size, mask)


def _feature_files() -> Iterable[bytes]:
    yield write_features(FOLDER / "seed.h5", {"a.png": _features(), "b/c.png": _features()}).read_bytes()


def _label_files() -> Iterable[bytes]:
    yield write_records(FOLDER / "seed.h5", LABELS, {"a.png": _labels(), "b/c.png": _labels()}).read_bytes()


@functools.cache
def _label_file() -> bytes:
    return next(iter(_label_files()))


def _index_texts() -> Iterable[bytes]:
    whole = _label_file()
    _, length, _ = struct.unpack("<8sQI", whole[-20:])
    yield whole[-20 - length : -20]


def _with_index(text: bytes) -> bytes:
    """A file whose index is any text, with the right checksum, behind the records that the seed has."""
    whole = _label_file()
    magic, length, _ = struct.unpack("<8sQI", whole[-20:])
    return whole[: -20 - length] + text + struct.pack("<8sQI", magic, len(text), zlib.crc32(text))


def _all_records(read: Callable[[Path], Mapping[str, Features]]) -> Callable[[Path], None]:
    def call(path: Path) -> None:
        for record in dict(read(path)).values():
            assert torch.isfinite(record.keypoints).all()
            assert len(record.keypoints) == len(record.keypoint_scores)

    return call


def _network() -> PointNetwork:
    return PointNetwork(ModelSettings(width=0.125, descriptor_dim=8))


def _weights_files() -> Iterable[bytes]:
    yield save_weights(FOLDER / "seed.safetensors", _network(), {"steps": 1}).read_bytes()


def _saved(value: object) -> bytes:
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


def _checkpoints() -> Iterable[bytes]:
    yield _saved({"model_state_dict": {"a": torch.zeros(2)}})
    yield _saved({f"conv{number}a.weight": torch.zeros(2, 1, 3, 3) for number in range(1, 5)})


def _states() -> Iterable[bytes]:
    settings = json.dumps({"steps": 5})
    state = {"settings": settings, "step": 1, "best_score": 0.5, "recent_losses": [{"loss": 1.0}], "start_hash": None}
    yield _saved({**state, "model": {"a": torch.zeros(2)}, "optimizer": {"state": {}, "param_groups": []}})


def _settings_files() -> Iterable[bytes]:
    yield b"steps: 5\nbatch_size: 2\nmodel:\n  width: 0.5\n"
    yield b"shapes: {size_hw: 48x64}\naugmentation: &a {photometric: {brightness: 1.5}}\n"
    yield b"task: superpoint\nimages: [a, b]\nlabels: l.h5\nviews: {size_hw: 56x72}\n"


def _read_settings(path: Path) -> None:
    read_settings_file(path)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as said:
        status: object = 0
        try:
            status = main(["train", "run", "--config", str(path), "--print_config"])
        except SystemExit as error:
            status = error.code
    assert status == 0 or (status == 2 and path.name in said.getvalue()), said.getvalue()


def _manifests() -> Iterable[bytes]:
    generate_dataset(
        FOLDER / "dataset", DatasetSettings(1, 0, 0, shapes=ShapeSettings(size_hw=(48, 64))), workers=1, progress=False
    )
    yield (FOLDER / "dataset" / "dataset.json").read_bytes()


def _read_dataset(data: bytes) -> None:
    (FOLDER / "dataset" / "dataset.json").write_bytes(data)
    dataset = ShapesDataset(FOLDER / "dataset", "training")
    dataset[0]


def _arrays() -> Iterable[bytes]:
    for array in (np.zeros((3, 2), np.float32), np.zeros((0, 2), np.float32), np.zeros((2, 2), np.int64)):
        file = io.BytesIO()
        np.save(file, array)
        yield file.getvalue()


def _read_homography(path: Path) -> None:
    found = read_homography(path)
    assert found.shape == (3, 3)
    assert np.isfinite(found).all()
    assert found[2, 2] == 1


TARGETS = {
    "images": Target(_pictures, _read_picture),
    "masks": Target(_pictures, lambda data: decode_mask(data, Path("x"), (16, 24), SMALL)),
    "features": Target(_feature_files, of_file(_all_records(read_features), "x.h5")),
    "labels": Target(_label_files, of_file(_all_records(read_labels), "x.h5")),
    "index": Target(_index_texts, lambda text: of_file(_all_records(read_labels), "x.h5")(_with_index(text))),
    "weights": Target(_weights_files, of_file(load_weights, "x.safetensors")),
    "checkpoint": Target(_checkpoints, of_file(lambda path: load_checkpoint(path, "s", "l"), "x.pth")),
    "state": Target(_states, of_file(load_state, "x.state")),
    "settings": Target(_settings_files, of_file(_read_settings, "x.yaml")),
    "dataset": Target(_manifests, _read_dataset),
    "arrays": Target(_arrays, of_file(read_npy, "x.npy")),
    "homography": Target(
        lambda: [b"1 0 5\n0 1 0\n0 0 1\n", b"1e-3 2 3\n4 5 6\n7 8 10"], of_file(_read_homography, "x.txt")
    ),
    "pairs": Target(lambda: [b"a b\nb c\n", b"# x\na\tc\n"], of_file(lambda path: read_pairs(path, "abc"), "x.txt")),
    "intrinsics": Target(
        lambda: [b"a 1 2 3 4\nb 5 6 7 8\n"], of_file(lambda path: read_intrinsics(path, "ab"), "x.txt")
    ),
}
"""By their names."""
