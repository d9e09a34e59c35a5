"""The mean of several networks' weights."""

import pytest
import torch

from magicpoint.core.errors import InputError
from magicpoint.model.network import PointNetwork
from magicpoint.model.settings import ModelSettings
from magicpoint.model.soup import average_weights
from magicpoint.model.weights import load_weights, resolve, save_weights, weights_hash

SETTINGS = ModelSettings(width=0.125, descriptor_dim=16)


@pytest.fixture
def runs(tmp_path):
    """Three networks, the last one as the best weights of a run's folder; every number is 1, 2 or 6."""
    paths = [tmp_path / "a.safetensors", tmp_path / "b.safetensors", tmp_path / "run" / "best.safetensors"]
    for path, value in zip(paths, (1.0, 2.0, 6.0), strict=True):
        network = PointNetwork(SETTINGS)
        for tensor in network.state_dict().values():
            tensor.fill_(value)
        path.parent.mkdir(exist_ok=True)
        save_weights(path, network, {})
    return [*paths[:2], tmp_path / "run"]


def test_every_number_is_the_mean(runs):
    soup, provenance = average_weights(runs)
    state = soup.state_dict()
    floats = {name for name, tensor in state.items() if tensor.is_floating_point()}
    assert all((state[name] == 3.0).all() for name in floats)
    assert any("running_var" in name for name in floats)
    # Counts of batches are the first one's.
    assert state.keys() > floats
    assert all(state[name] == 1 for name in state.keys() - floats)
    assert not soup.training
    assert soup.settings == SETTINGS
    assert [part["weights"] for part in provenance["soup"]] == ["a.safetensors", "b.safetensors", "run"]
    first = load_weights(runs[0])[0]
    assert provenance["soup"][0]["weights_hash"] == weights_hash(first.state_dict())


def test_what_is_named_twice_counts_twice(runs):
    soup, provenance = average_weights([runs[0], runs[0], runs[1]])
    assert soup.state_dict()["detector.layers.1.bias"].tolist() == pytest.approx([4 / 3] * 65)
    assert len(provenance["soup"]) == 3


def test_the_mean_of_equal_weights_is_the_same_network():
    soup, _ = average_weights(["superpoint-tiny"] * 3)
    shipped = load_weights(resolve("superpoint-tiny").path)[0]
    assert weights_hash(soup.state_dict()) == weights_hash(shipped.state_dict())


def test_what_has_no_mean_is_named(runs, tmp_path):
    torch.manual_seed(0)
    wide = save_weights(tmp_path / "wide.safetensors", PointNetwork(ModelSettings(width=0.25)), {})
    with pytest.raises(
        InputError,
        match=r"wide\.safetensors and .*a\.safetensors differ: width 0\.25 and 0\.125, descriptor_dim 0 and 16$",
    ):
        average_weights([runs[0], wide])
    with pytest.raises(InputError, match="at least two, got 1"):
        average_weights(runs[:1])
    with pytest.raises(InputError, match="nobody"):
        average_weights([runs[0], "nobody"])


def test_what_binds_its_parts_binds_a_soup(runs, tmp_path):
    network, _ = load_weights(runs[0])
    said = {"source": "https://example.org", "licence": "CC BY-NC 4.0", "sha256": "00"}
    foreign = save_weights(tmp_path / "foreign.safetensors", network, said)
    soup, provenance = average_weights([runs[1], foreign])
    assert provenance["licence"] == "CC BY-NC 4.0"
    assert provenance["soup"][1].items() >= {"source": "https://example.org", "licence": "CC BY-NC 4.0"}.items()
    again = average_weights([save_weights(tmp_path / "soup.safetensors", soup, provenance), runs[1]])[1]
    assert again["licence"] == "CC BY-NC 4.0"
    assert again["soup"][0]["soup"] == provenance["soup"]


def test_parts_of_other_names_that_are_the_same_are_told(runs, tmp_path, caplog):
    average_weights([runs[0], runs[0], runs[1]])
    assert not caplog.records
    same = save_weights(tmp_path / "same.safetensors", load_weights(runs[1])[0], {})
    average_weights([runs[0], runs[1], same])
    [record] = caplog.records
    assert f"{same} holds the same weights as {runs[1]}" in record.getMessage()
