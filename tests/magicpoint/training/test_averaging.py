"""The running average of a network's weights."""

import dataclasses

import pytest
import torch
from torch import nn

from magicpoint.model.named import NamedNetwork
from magicpoint.model.network import MagicPoint
from magicpoint.training.averaging import AveragedNetwork


def filled(value):
    network = MagicPoint(0.125)
    for tensor in network.state_dict().values():
        tensor.fill_(value)
    return network


def values(network, floating=True):
    tensors = [tensor for tensor in network.state_dict().values() if tensor.is_floating_point() == floating]
    assert tensors
    return sorted({value for tensor in tensors for value in tensor.unique().tolist()})


def test_a_tenth_of_the_way_at_each_step_once_the_average_is_warm():
    average = AveragedNetwork(filled(0.0), kept=0.9)
    average.update(filled(1.0), step=1000)
    assert values(average.network) == pytest.approx([0.1])
    average.update(filled(1.0), step=1001)
    assert values(average.network) == pytest.approx([0.19])


def test_counts_are_those_of_the_network():
    average = AveragedNetwork(filled(0.0), kept=0.9)
    average.update(filled(7.0), step=1000)
    assert values(average.network, floating=False) == [7]


def test_the_first_steps_count_more():
    average = AveragedNetwork(filled(0.0), kept=0.9)
    average.update(filled(1.0), step=0)
    # A tenth of the beginning is kept, then two elevenths of what there is.
    assert values(average.network) == pytest.approx([0.9])
    average.update(filled(0.0), step=1)
    assert values(average.network) == pytest.approx([0.9 * 2 / 11])


def test_the_network_itself_is_left_alone_and_learns():
    network = filled(2.0)
    average = AveragedNetwork(network, kept=0.5)
    average.update(filled(0.0), step=1000)
    assert values(network) == [2.0]
    assert values(average.network) == [1.0]
    assert all(p.requires_grad for p in network.parameters())
    assert not any(p.requires_grad for p in average.network.parameters())


@dataclasses.dataclass(frozen=True)
class NoSettings:
    """None."""


class Tied(NamedNetwork):
    """Two layers with the same weight."""

    architecture = "tied"
    settings_type = NoSettings

    def __init__(self, settings):
        super().__init__(settings)
        self.first, self.second = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)
        self.second.weight = self.first.weight


def test_a_weight_that_layers_share_is_moved_once():
    zero, one = Tied(NoSettings()), Tied(NoSettings())
    nn.init.zeros_(zero.first.weight)
    nn.init.ones_(one.first.weight)
    average = AveragedNetwork(zero, kept=0.9)
    average.update(one, step=1000)
    torch.testing.assert_close(average.network.first.weight, torch.full((2, 2), 0.1))
    assert average.network.second.weight is average.network.first.weight
