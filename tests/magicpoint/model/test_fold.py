import pytest
import torch
from torch import nn

from magicpoint.model.fold import fold_batch_norm
from magicpoint.model.network import PointNetwork
from magicpoint.model.settings import ModelSettings


def network(batch_norm, descriptor_dim):
    """A network whose BatchNorm does something, and something else in every channel."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = PointNetwork(ModelSettings(0.125, batch_norm, descriptor_dim))
        for layer in model.modules():
            if isinstance(layer, nn.BatchNorm2d):
                for tensor, low, high in (
                    (layer.running_mean, -0.2, 0.2),
                    (layer.running_var, 0.05, 0.5),
                    (layer.weight.data, -1.5, 1.5),
                    (layer.bias.data, -0.2, 0.2),
                ):
                    tensor.uniform_(low, high)
    return model


@pytest.mark.parametrize("batch_norm", ["all", "hidden", "none"])
@pytest.mark.parametrize("descriptor_dim", [0, 16])
def test_the_folded_network_gives_the_same(batch_norm, descriptor_dim):
    model = network(batch_norm, descriptor_dim).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    folded = fold_batch_norm(model)
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert not folded.training
    assert folded.settings == ModelSettings(0.125, "none", descriptor_dim)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in folded.modules())
    image = torch.rand(2, 1, 24, 32)
    with torch.no_grad():
        expected, result = model.eval()(image), folded(image)
    assert float(expected.logits.std()) > 0.05
    assert torch.allclose(result.logits, expected.logits, atol=1e-5)
    if descriptor_dim:
        assert torch.allclose(result.descriptors, expected.descriptors, atol=1e-5)


def test_the_descriptor_head_can_be_left_out():
    model = network("hidden", 16).eval()
    folded = fold_batch_norm(model, descriptors=False)
    image = torch.rand(1, 1, 16, 16)
    with torch.no_grad():
        result = folded(image)
        assert result.descriptors is None
        assert torch.allclose(result.logits, model(image).logits, atol=1e-5)
    assert folded.descriptor is None


def test_the_dtype_stays():
    folded = fold_batch_norm(network("hidden", 0).double())
    assert {tensor.dtype for tensor in folded.parameters()} == {torch.float64}


@pytest.mark.parametrize("descriptor_dim", [0, 16])
def test_batch_norm_behind_the_relu_stays(descriptor_dim):
    model = network("after_relu", 16).train()
    kept = fold_batch_norm(model, descriptors=descriptor_dim > 0)
    assert model.training
    assert not kept.training
    assert kept.settings == ModelSettings(0.125, "after_relu", descriptor_dim)
    image = torch.rand(2, 1, 24, 32)
    with torch.no_grad():
        expected, result = model.eval()(image), kept(image)
    assert torch.equal(result.logits, expected.logits)
    assert (kept.descriptor is None) == (descriptor_dim == 0)
