import errno
import io
import tracemalloc
import zlib

import h5py
import numpy as np
import pytest
import torch

from magicpoint.core.errors import InputError
from magicpoint.core.types import Features
from magicpoint.io import record_writer
from magicpoint.io.features import read_features, write_features
from magicpoint.io.record_index import Entry, Field, read_entry

NAMES = ("keypoints", "keypoint_scores", "descriptors")


def features(count, seed=0, dim=16):
    values = np.random.default_rng(seed).random((count, 3 + dim), np.float32)
    points, scores, descriptors = (torch.from_numpy(values[:, part]) for part in np.s_[:2, 2, 3:])
    return Features(points, scores, descriptors, (31 + seed, 32))


def assert_same(first, second):
    assert first.image_size == second.image_size
    assert all(torch.equal(getattr(first, name), getattr(second, name)) for name in NAMES)


def write_plain(path, images):
    """As version 1 did, and as another program may."""
    with h5py.File(path, "w") as file:
        file.attrs.update({"format": "magicpoint-features-1", "skipped": "{}", "weights": "w"})
        for key, image in images.items():
            group = file.create_group(key)
            group.attrs.update({"image_size": image.image_size, "image_sha256": "12"})
            for name in NAMES:
                group[name] = getattr(image, name).numpy()
    return path


def test_version_1_is_read(tmp_path):
    images = {"s/a.png": features(5), "b.png": features(0)}
    found = read_features(write_plain(tmp_path / "f.h5", images))
    assert (sorted(found), found.provenance, found.digest("b.png")) == (["b.png", "s/a.png"], {"weights": "w"}, "12")
    assert found.keypoint_counts() == {"s/a.png": 5, "b.png": 0}
    for key, image in images.items():
        assert_same(found[key], image)


@pytest.mark.parametrize("key", ["..", "a/..", "C:a"])
def test_files_with_unsafe_keys_are_refused(tmp_path, key):
    with h5py.File(write_plain(tmp_path / "f.h5", {"a/b": features(1)}), "a") as file:
        file.create_group(key).attrs["image_size"] = (1, 1)
        file[key]["keypoints"] = np.zeros((0, 2), np.float32)
    with pytest.raises(ValueError, match=r"f\.h5.*unsafe image key"):
        read_features(tmp_path / "f.h5")


def test_links_to_other_files_are_not_followed(tmp_path):
    write_plain(tmp_path / "secret.h5", {"s": features(1)})
    with h5py.File(write_plain(tmp_path / "f.h5", {"a": features(1)}), "a") as file:
        file["b"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "s")
    assert list(read_features(str(tmp_path / "f.h5"))) == list(read_features(tmp_path / "f.h5")) == ["a"]


@pytest.mark.parametrize("name", NAMES)
def test_damaged_groups_are_named(tmp_path, name):
    path = write_plain(tmp_path / "f.h5", {"a": features(3)})
    for wrong in (np.zeros((7, 7), np.float32), features(3).keypoints.double().numpy(), None):
        with h5py.File(path, "a") as file:
            del file["a"][name]
            if wrong is not None:
                file["a"][name] = wrong
            elif name != "keypoint_scores":
                continue
        with pytest.raises(ValueError, match=r"f\.h5: a is damaged"):
            read_features(path)["a"]


def external_link(group, folder):
    write_plain(folder / "secret.h5", {"s": features(1)})
    group["keypoints"] = h5py.ExternalLink(str(folder / "secret.h5"), "s/keypoints")


def external_storage(group, folder):
    (folder / "secret").write_bytes(bytes(8))
    group.create_dataset("keypoints", (1, 2), np.float32, external=[(str(folder / "secret"), 0, 8)])


def virtual(group, folder):
    write_plain(folder / "secret.h5", {"s": features(1)})
    layout = h5py.VirtualLayout((1, 2), np.float32)
    layout[:] = h5py.VirtualSource(str(folder / "secret.h5"), "s/keypoints", (1, 2))
    group.create_virtual_dataset("keypoints", layout)


def soft_link(group, folder):
    group["keypoints"] = h5py.SoftLink("/a/descriptors")


def declared(group, folder):
    group.create_dataset("keypoints", (10**12, 2), np.float32)


def declared_in_chunks(group, folder):
    group.create_dataset("keypoints", (10**9, 2), np.float32, chunks=(10**6, 2), compression="gzip")[:2] = 0


def of_strings(group, folder):
    group["keypoints"] = ["a", "b"]


def a_group(group, folder):
    group.create_group("keypoints/inner")


ELSEWHERE = [external_link, external_storage, virtual, soft_link, declared, declared_in_chunks, of_strings, a_group]


@pytest.mark.parametrize("change", ELSEWHERE)
def test_what_is_not_in_the_file_itself_is_not_read(tmp_path, change):
    with h5py.File(write_plain(tmp_path / "f.h5", {"a": features(1)}), "a") as file:
        del file["a/keypoints"]
        change(file["a"], tmp_path)
    with pytest.raises((InputError, KeyError)):
        _ = read_features(tmp_path / "f.h5")["a"]


def test_what_comes_back_from_a_damaged_file_is_what_was_written(tmp_path):
    images = {"a": features(3), "s/b": features(0, 1), "s/c": features(2, 2)}
    path = write_features(tmp_path / "f.h5", images, {"weights": "w"}, dict.fromkeys(images, "12"))
    content, generator = path.read_bytes(), np.random.default_rng(0)
    refused = 0
    for place in sorted({*range(len(content) - 40, len(content)), *range(0, len(content), 17)}):
        changed = bytearray(content)
        changed[place] ^= 1 << int(generator.integers(8))
        path.write_bytes(changed)
        try:
            found = read_features(path)
            assert (found.provenance, found.skipped, list(found)) == ({"weights": "w"}, {}, list(images))
            for key, image in found.items():
                assert found.digest(key) == "12"
                assert_same(image, images[key])
        except InputError:
            refused += 1
    assert refused > 60


def test_a_file_that_another_program_changed_is_refused(tmp_path):
    path = write_features(tmp_path / "f.h5", {"a": features(1)})
    with h5py.File(path, "a") as file:
        file["a/keypoints"][0] = 7
    with pytest.raises(InputError, match="its end is missing, or it was changed by another program"):
        read_features(path)


@pytest.mark.parametrize("length", [1, 20, 21, 200, 4000])
def test_a_file_that_was_cut_is_refused(tmp_path, length):
    path = write_features(tmp_path / "f.h5", {"a": features(1)})
    path.write_bytes(path.read_bytes()[:-length])
    with pytest.raises(InputError, match=r"f\.h5 is damaged or no feature file"):
        read_features(path)


@pytest.mark.parametrize("count", [10**6 - 1, 10**6 + 1, 10**12])
def test_a_bomb_takes_no_memory(count):
    stored = zlib.compress(bytes(10**6))
    field = Field("|u1", (count,), 0, len(stored))
    plain = Entry((8, 8), None, zlib.crc32(stored), {"valid_mask": field}).plain()
    tracemalloc.start()
    with pytest.raises(InputError, match="bytes"):
        read_entry(io.BytesIO(stored), Entry.of_plain(plain))
    assert tracemalloc.get_traced_memory()[1] < 3 * 10**6
    tracemalloc.stop()


@pytest.mark.parametrize("room", [0, 1, 800, 5000, 100_000, 1_200_000])
def test_a_full_disk_is_one_error_and_the_earlier_file_stays(tmp_path, monkeypatch, room):
    path = write_features(tmp_path / "f.h5", {"a": features(2)})
    content, taken = path.read_bytes(), 0

    class FullDisk(io.FileIO):
        def write(self, data):
            nonlocal taken
            if taken >= room:
                raise OSError(errno.ENOSPC, "No space left on device")
            written = super().write(data[: room - taken])
            taken += written
            return written

    monkeypatch.setattr(record_writer, "open", lambda path, *_, **__: FullDisk(path, "w+"), raising=False)
    with pytest.raises(OSError, match=r"cannot write .*f\.h5.*No space left"):
        write_features(path, {f"{n}/{n}": features(100, n, 256) for n in range(20)})
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]
