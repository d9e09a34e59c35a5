import pytest
import torch
from torch import nn

from magicpoint.model.network import PointNetwork
from magicpoint.model.settings import ModelSettings
from magicpoint.model.weights import save_weights, weights_hash
from magicpoint.model.widen import widen
from magicpoint.training.tasks.start import start_from


def trained_network(width=0.125, batch_norm="hidden", descriptor_dim=16):
    """A network of which BatchNorm has seen images, different in each channel."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = PointNetwork(ModelSettings(width, batch_norm, descriptor_dim)).train()
        for layer in model.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.weight.data.uniform_(0.5, 1.5)
                layer.bias.data.uniform_(-0.2, 0.2)
        with torch.no_grad():
            for _ in range(20):
                model(torch.rand(4, 1, 32, 40))
    return model.eval()


@pytest.mark.parametrize("batch_norm", ["all", "hidden", "none"])
@pytest.mark.parametrize("width", [0.125, 0.25, 0.3, 0.5])
def test_the_wider_network_gives_the_same(batch_norm, width):
    model = trained_network(batch_norm=batch_norm)
    wide = widen(model, width)
    assert wide.settings == ModelSettings(width, batch_norm, 16)
    image = torch.rand(2, 1, 40, 48, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected, result = model(image), wide(image)
    assert float(expected.logits.std()) > 0.05
    assert torch.allclose(result.logits, expected.logits, atol=1e-4)
    assert torch.allclose(result.descriptors, expected.descriptors, atol=1e-4)


def test_in_training_it_gives_the_same_too():
    model = trained_network()
    wide = widen(model, 0.25)
    image = torch.rand(4, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.allclose(wide.train()(image).logits, model.train()(image).logits, atol=1e-4)


def test_copies_get_different_gradients():
    wide = widen(trained_network(), 0.25)
    wide(torch.rand(2, 1, 32, 32)).logits.square().mean().backward()
    first = wide.encoder.layers[0][0].weight
    assert torch.equal(first[:8], first[8:])
    assert (first.grad[:8] - first.grad[8:]).abs().max() > 0.1 * first.grad.abs().max()


def test_the_copies_share_the_weight_of_the_original():
    model = trained_network()
    wide = widen(model, 0.25)
    old, new = model.encoder.layers[1][0].weight, wide.encoder.layers[1][0].weight
    assert new.shape == (16, 16, 3, 3)
    summed = new[:, :8] + new[:, 8:]
    assert torch.allclose(summed, old.repeat(2, 1, 1, 1), atol=1e-6)
    assert not torch.allclose(new[:, :8], new[:, 8:], atol=0.01)


def test_a_seed_decides_the_copy_and_the_network_stays():
    model = trained_network()
    before = weights_hash(model.state_dict())
    assert weights_hash(widen(model, 0.25).state_dict()) == weights_hash(widen(model, 0.25).state_dict())
    assert weights_hash(widen(model, 0.25, seed=1).state_dict()) != weights_hash(widen(model, 0.25).state_dict())
    assert weights_hash(model.state_dict()) == before


def test_it_does_not_narrow():
    with pytest.raises(ValueError, match=r"width 0\.125 cannot be widened to 0\.1$"):
        widen(trained_network(), 0.1)


def test_a_run_starts_from_a_narrower_network(tmp_path):
    narrow = trained_network(descriptor_dim=0)
    path = save_weights(tmp_path / "narrow.safetensors", narrow, {})
    model = PointNetwork(ModelSettings(0.25, descriptor_dim=16))
    descriptor = {name: value.clone() for name, value in model.descriptor.state_dict().items()}
    assert start_from(model, str(path)) == weights_hash(narrow.state_dict())
    image = torch.rand(1, 1, 32, 32)
    with torch.no_grad():
        assert torch.allclose(model.eval()(image).logits, narrow(image).logits, atol=1e-4)
    assert all(torch.equal(value, descriptor[name]) for name, value in model.descriptor.state_dict().items())
