"""The network that compares two squares, and why it multiplies their features."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from magicpoint.planar.verify.network import VerifierNetwork, fuse
from magicpoint.planar.verify.settings import VerifierModelSettings

KINDS = torch.tensor([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])


def plain(signs):
    """Plain images of 4x4 pixels, black or white, as features of both signs, (N, 16)."""
    return signs[:, None].expand(-1, 16)


def error_of_one_layer(fusion, seed, features=plain):
    """What one linear layer comes to on pairs of plain images: mean distance of its probability from the truth."""
    generator = torch.Generator().manual_seed(seed)
    colours = torch.randint(0, 2, (256, 2), generator=generator) * 2.0 - 1.0
    fused, same = fuse(features(colours[:, 0]), features(colours[:, 1]), fusion), colours.prod(dim=1) > 0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layer = nn.Linear(fused.shape[1], 1)
    optimizer = torch.optim.Adam(layer.parameters(), 0.1)
    for _ in range(200):
        optimizer.zero_grad()
        F.binary_cross_entropy_with_logits(layer(fused)[:, 0], same.float()).backward()
        optimizer.step()
    asked = fuse(features(KINDS[:, 0]), features(KINDS[:, 1]), fusion)
    truth = (KINDS.prod(dim=1) > 0).float()
    with torch.no_grad():
        return float((layer(asked)[:, 0].sigmoid() - truth).abs().mean())


@pytest.mark.parametrize("seed", range(5))
def test_one_layer_learns_what_is_equal_of_a_product(seed):
    assert error_of_one_layer("product", seed) < 1e-4


@pytest.mark.parametrize("seed", range(5))
def test_one_layer_learns_nothing_of_two_side_by_side(seed):
    assert error_of_one_layer("concatenation", seed) == pytest.approx(0.5, abs=0.01)


def test_one_layer_learns_less_of_a_product_of_what_is_never_negative():
    """Black and black is 0, as black and white is: two of the four pairs are one to it. The features are centred."""
    assert error_of_one_layer("product", 0, lambda signs: (plain(signs) + 1) / 2) > 0.2


@pytest.fixture(scope="module", params=["product", "concatenation"])
def network(request):
    torch.manual_seed(0)
    network = VerifierNetwork(VerifierModelSettings(0.125, 16, 32, request.param))
    network(torch.rand(16, 1, 32, 32), torch.rand(16, 1, 32, 32))  # BatchNorm sees something
    return network.eval()


@torch.no_grad()
def test_a_pair_is_judged_alike_alone_and_among_others(network):
    query, template = torch.rand(5, 1, 32, 32), torch.rand(5, 1, 32, 32)
    together = network(query, template)
    alone = torch.cat([network(query[i : i + 1], template[i : i + 1]) for i in range(5)])
    torch.testing.assert_close(alone, together, atol=1e-5, rtol=1e-4)
    queries, templates = network.describe(query), network.describe(template)
    table = network.compare_all(queries, templates)
    assert table.shape == (5, 5)
    torch.testing.assert_close(table.diagonal(), together, atol=1e-5, rtol=1e-4)
    assert network.compare_all(queries, templates[:0]).shape == (5, 0)


@torch.no_grad()
def test_features_are_of_both_signs_and_one_length(network):
    features = network.describe(torch.rand(4, 1, 32, 32))
    assert features.shape == (4, 16, 4, 4)
    torch.testing.assert_close(features.norm(dim=1), torch.full((4, 4, 4), 4.0))
    assert 0.2 < (features > 0).float().mean() < 0.8


@torch.no_grad()
def test_brightness_and_contrast_say_nothing_and_a_plain_square_is_ordinary(network):
    square = torch.rand(1, 1, 32, 32)
    torch.testing.assert_close(network.describe(0.3 + 0.4 * square), network.describe(square), atol=1e-3, rtol=1e-3)
    plain_logits = network(torch.zeros(2, 1, 32, 32), torch.ones(2, 1, 32, 32))
    assert plain_logits.isfinite().all()


def test_squares_of_another_size_are_refused(network):
    with pytest.raises(ValueError, match=r"\(N, 1, 32, 32\), got \(1, 1, 64, 64\)"):
        network.describe(torch.zeros(1, 1, 64, 64))


def test_a_product_does_not_ask_which_is_which(network):
    if network.settings.fusion == "product":
        query, template = torch.rand(2, 3, 1, 32, 32)
        with torch.no_grad():
            torch.testing.assert_close(network(query, template), network(template, query))
