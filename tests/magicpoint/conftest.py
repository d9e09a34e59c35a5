"""What several test files share: they cannot import each other, so a function is the value of a fixture."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from magicpoint.model.network import MagicPoint, SuperPoint


@pytest.fixture(scope="session")
def random_network():
    """A function that makes networks, each with the same weights.

    They are small and untrained, but with peaks that stand out and BatchNorm statistics that are not those of any
    image. With a descriptor_dim of 0 they have no descriptors.
    """

    def make(descriptor_dim=16):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = SuperPoint(0.125, descriptor_dim=descriptor_dim) if descriptor_dim else MagicPoint(0.125)
            for layer in model.modules():
                if isinstance(layer, nn.BatchNorm2d):
                    layer.running_mean.uniform_(-0.1, 0.1)
                    layer.running_var.uniform_(0.05, 0.2)
        with torch.no_grad():
            model.detector.layers[-1].weight.mul_(8)
        return model.eval()

    return make


@pytest.fixture(scope="session")
def one_hot():
    """A function that gives every cell a descriptor orthogonal to all others: (1, rows * columns, rows, columns)."""
    return lambda rows, columns: torch.eye(rows * columns).view(1, rows * columns, rows, columns)


@pytest.fixture(scope="session")
def random_maps():
    """A function that makes two maps of descriptors of length 1."""

    def make(batch=2, dim=16, rows=6, columns=8, dtype=torch.float32, seed=0):
        generator = torch.Generator().manual_seed(seed)
        shape = (batch, dim, rows, columns)
        return [F.normalize(torch.randn(shape, dtype=dtype, generator=generator), dim=1) for _ in range(2)]

    return make
