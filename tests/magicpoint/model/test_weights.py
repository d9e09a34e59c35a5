"""Weights and states on disk: written whole, read without pickles, refused by name."""

import os
import pickle

import pytest
import torch
from safetensors import safe_open

from magicpoint.core.files import write_atomically
from magicpoint.model.named import NamedNetwork
from magicpoint.model.network import MagicPoint, ModelSettings, PointNetwork, SuperPoint
from magicpoint.model.weights import load_weights, save_weights, shipped_weights, weights_hash
from magicpoint.training.state import load_state, save_state


def test_weights_come_back_with_settings_and_provenance(tmp_path):
    torch.manual_seed(0)
    model = SuperPoint(width=0.125, batch_norm="all", descriptor_dim=16)
    path = save_weights(tmp_path / "w.safetensors", model, {"seed": 3})
    loaded, provenance = load_weights(path)
    assert loaded.settings == model.settings
    assert provenance == {"seed": 3}
    assert not loaded.training
    assert all(torch.equal(a, loaded.state_dict()[name]) for name, a in model.state_dict().items())
    assert weights_hash(loaded.state_dict()) == weights_hash(model.state_dict())


def test_the_hash_tells_weights_apart():
    first, second = MagicPoint(0.125).state_dict(), MagicPoint(0.125).state_dict()
    assert weights_hash(first) != weights_hash(second)


def test_damaged_and_foreign_files_are_named(tmp_path):
    path = save_weights(tmp_path / "w.safetensors", MagicPoint(0.125), {})
    content = path.read_bytes()
    path.write_bytes(content[:-100])
    with pytest.raises(ValueError, match=r"w\.safetensors is damaged"):
        load_weights(path)
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match=r"other\.safetensors holds no magicpoint weights"):
        load_weights(tmp_path / "other.safetensors")
    with pytest.raises(FileNotFoundError, match=r"none\.safetensors"):
        load_weights(tmp_path / "none.safetensors")


class Other(NamedNetwork):
    """Another architecture, whose settings are those of the points'."""

    architecture = "other"
    settings_type = ModelSettings

    def __init__(self, settings):
        super().__init__(settings)
        self.layer = torch.nn.Linear(2, settings.descriptor_dim)


def test_a_file_names_its_architecture_and_other_kinds_are_refused_by_it(tmp_path):
    other = save_weights(tmp_path / "other.safetensors", Other(ModelSettings(descriptor_dim=3)), {"a": 1})
    network, provenance = load_weights(other, Other)
    assert (type(network), network.settings.descriptor_dim, provenance) == (Other, 3, {"a": 1})
    with pytest.raises(ValueError, match=r"other\.safetensors holds a network of the architecture other, not points"):
        load_weights(other)
    points = save_weights(tmp_path / "points.safetensors", MagicPoint(0.125), {})
    assert header(points)["architecture"] == "points"
    with pytest.raises(ValueError, match="architecture points, not other"):
        load_weights(points, Other)


def header(path):
    with safe_open(path, "pt") as file:
        return file.metadata()


@pytest.mark.parametrize(
    ("name", "hashed"),
    [
        ("magicpoint", "5dfd56354808e1c5"),
        ("superpoint", "cdea17765127a176"),
        ("superpoint-small", "fd67b4631bc2f418"),
        ("superpoint-tiny", "0f372e2efa1f18ee"),
    ],
)
def test_the_shipped_files_hold_points(name, hashed):
    path = shipped_weights(name).path
    assert header(path).get("architecture", "points") == "points"  # files of before name none
    network, _ = load_weights(path)
    assert type(network) is PointNetwork
    assert weights_hash(network.state_dict()) == hashed


def test_a_shipped_file_of_before_names_no_architecture():
    assert "architecture" not in header(shipped_weights("superpoint-small").path)


class Evil:
    def __reduce__(self):
        return os.mkdir, ("owned",)


def test_a_state_that_would_run_code_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"step": Evil()}, tmp_path / "evil.state")
    with pytest.raises(ValueError, match=r"evil\.state"):
        load_state(tmp_path / "evil.state")
    (tmp_path / "plain.state").write_bytes(pickle.dumps(Evil(), protocol=2))
    with pytest.raises(ValueError, match=r"plain\.state"):
        load_state(tmp_path / "plain.state")
    assert not (tmp_path / "owned").exists()


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    save_state(tmp_path / "s", {"step": 1})
    before = (tmp_path / "s").read_bytes()

    def full_disk(temporary):
        temporary.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match=r"cannot write .*s: .*No space left"):
        write_atomically(tmp_path / "s", full_disk)
    assert (tmp_path / "s").read_bytes() == before
    assert os.listdir(tmp_path) == ["s"]


def test_a_run_without_a_validation_names_what_it_has(tmp_path):
    save_weights(tmp_path / "last.safetensors", SuperPoint(0.125), {})
    with pytest.raises(FileNotFoundError, match=r"not been validated yet: take .*last\.safetensors"):
        load_weights(tmp_path / "best.safetensors")
