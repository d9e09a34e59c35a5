"""A network that matches: what it does not depend on, what it refuses, and where it begins."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F

from magicpoint.core.types import Features
from magicpoint.matching.learned import LearnedMatcher
from magicpoint.matching.nearest import match_features
from magicpoint.matching.settings import LearnedSettings
from magicpoint.model.matcher import Assignment, MatcherNetwork, Side, counterparts, log_scores
from magicpoint.model.settings import MatcherSettings
from magicpoint.model.weights import save_weights

DIM = 8


def draw(seed):
    return torch.Generator().manual_seed(seed)


def features(count, seed=0, image_size=(64, 48), **provenance):
    generator = draw(seed)
    keypoints = torch.rand(count, 2, generator=generator) * torch.tensor(image_size)
    descriptors = F.normalize(torch.randn(count, DIM, generator=generator), dim=1)
    return Features(keypoints, torch.ones(count), descriptors, image_size, provenance=provenance or None)


def taken(found, order):
    index = torch.as_tensor(order)
    return dataclasses.replace(
        found,
        keypoints=found.keypoints[index],
        keypoint_scores=found.keypoint_scores[index],
        descriptors=found.descriptors[index],
    )


@pytest.fixture
def network():
    """A network of random weights in which every part counts."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = MatcherNetwork(MatcherSettings(16, 3, 2, DIM, "0123456789abcdef"))
        network.begin_with(features(200).descriptors)
        for name, values in network.named_parameters():
            if "narrow" in name:
                torch.nn.init.normal_(values, std=0.3)
    return network.eval()


@pytest.fixture
def matcher(network):
    return LearnedMatcher(network, LearnedSettings(min_score=1e-4))


def as_pairs(matches):
    return {
        (*pair, round(score, 4))
        for pair, score in zip(matches.matches01.tolist(), matches.scores.tolist(), strict=True)
    }


def test_the_order_of_the_keypoints_does_not_matter(matcher):
    one, other = features(40, 1), features(30, 2)
    order0, order1 = torch.randperm(40, generator=draw(3)), torch.randperm(30, generator=draw(4))
    plain = matcher.match(one, other)
    shuffled = matcher.match(taken(one, order0), taken(other, order1))
    back = {(int(order0[a]), int(order1[b])) for a, b in shuffled.matches01.tolist()}
    assert len(plain) > 5
    assert back == {tuple(pair) for pair in plain.matches01.tolist()}
    assert plain.matches01[:, 0].diff().gt(0).all()
    torch.testing.assert_close(shuffled.scores.sort().values, plain.scores.sort().values, rtol=1e-3, atol=1e-6)


def test_swapped_images_have_swapped_matches(matcher):
    one, other = features(40, 1), features(30, 2, (80, 60))
    forth, back = matcher.match(one, other), matcher.match(other, one)
    assert len(forth) > 5
    assert as_pairs(forth) == {(a, b, score) for b, a, score in as_pairs(back)}


def test_matches_are_one_to_one_and_scores_are_chances(matcher):
    found = matcher.match(features(50, 1), features(50, 2))
    for side in found.matches01.T:
        assert len(side.unique()) == len(side)
    assert ((found.scores >= 1e-4) & (found.scores <= 1)).all()
    strict = LearnedMatcher(matcher.network, LearnedSettings(min_score=float(found.scores.median())))
    kept = match_features(features(50, 1), features(50, 2), strict)
    assert as_pairs(kept) == {each for each in as_pairs(found) if each[2] >= round(float(found.scores.median()), 4)}


@pytest.mark.parametrize(("count0", "count1"), [(0, 0), (0, 5), (5, 0), (1, 0), (1, 1), (1, 5), (5, 1)])
@pytest.mark.parametrize("settings", [LearnedSettings(1e-6), LearnedSettings(1e-6, 0.5, True)])
def test_no_and_one_keypoint_are_ordinary(network, count0, count1, settings):
    found = match_features(features(count0, 1), features(count1, 2), LearnedMatcher(network, settings))
    assert len(found) <= min(count0, count1)
    assert found.matches01.dtype == torch.int64
    if min(count0, count1):
        assert len(found) == 1  # somebody is the other's best


@pytest.mark.parametrize("image_size", [(1, 1), (7, 3000), (4000, 3000)])
def test_places_count_in_shares_of_the_image(matcher, image_size):
    """At another size the same picture has the same matches; the first, of one pixel, is just not an error."""
    one, other = features(20, 1), features(20, 2)
    found = matcher.match(one.at_size(image_size), other.at_size(image_size))
    assert torch.isfinite(found.scores).all()
    if image_size == (4000, 3000):  # of the same shape as 64x48
        assert as_pairs(found) == as_pairs(matcher.match(one, other))


def test_a_new_network_matches_nearest_neighbours():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = MatcherNetwork(MatcherSettings(16, 3, 2, DIM, ""))
        one = features(60, 1)
        moved = F.normalize(one.descriptors + 0.1 * torch.randn(60, DIM, generator=draw(5)), dim=1)
        other = dataclasses.replace(one, descriptors=moved)
        network.begin_with(torch.cat((one.descriptors, moved)))
    found = LearnedMatcher(network, LearnedSettings(min_score=1e-9)).match(one, other)
    nearest = match_features(one, other)
    ours, theirs = ({tuple(pair) for pair in matches.matches01.tolist()} for matches in (found, nearest))
    assert len(ours & theirs) >= 0.95 * len(theirs) > 50


def test_scores_on_paper():
    """Two keypoints each: without a preference a quarter, times the matchabilities."""
    even = Assignment(torch.zeros(1, 2, 2), torch.zeros(1, 2), torch.full((1, 2), 50.0))
    torch.testing.assert_close(log_scores(even).exp(), torch.full((1, 2, 2), 0.125))
    sharp = Assignment(torch.tensor([[[9.0, -9.0], [-9.0, 9.0]]]), torch.full((1, 2), 50.0), torch.full((1, 2), 50.0))
    of0, of1 = counterparts(log_scores(sharp), 0.5)
    assert of0.tolist() == of1.tolist() == [[0, 1]]
    of0, of1 = counterparts(log_scores(sharp._replace(matchable0=torch.tensor([[50.0, -50.0]]))), 0.5)
    assert of0.tolist() == of1.tolist() == [[0, -1]]


def test_padding_changes_nothing(network):
    one, other = features(6, 1), features(5, 2)
    sides = [Side(each.descriptors[None], each.keypoints[None] / 64) for each in (one, other)]
    padded = [
        Side(F.pad(side.descriptors, (0, 0, 0, 3)), F.pad(side.places, (0, 0, 0, 3)), torch.arange(n + 3)[None] < n)
        for side, n in zip(sides, (6, 5), strict=True)
    ]
    plain, wide = log_scores(network(*sides)), log_scores(network(*padded))
    torch.testing.assert_close(wide[:, :6, :5], plain, rtol=1e-3, atol=1e-4)
    half = log_scores(network(sides[0], padded[1]))
    torch.testing.assert_close(half[:, :, :5], plain, rtol=1e-3, atol=1e-4)


def test_it_stops_where_a_layer_is_sure(network):
    one, other = features(20, 1), features(20, 2)
    with torch.no_grad():
        network.confidences[0].bias.fill_(99.0)
    early = LearnedMatcher(network, LearnedSettings(1e-4, stop_share=1.0)).match(one, other)
    first = MatcherNetwork(dataclasses.replace(network.settings, layers=1))
    first.load_state_dict({name: values for name, values in network.state_dict().items() if name in first.state_dict()})
    assert as_pairs(early) == as_pairs(LearnedMatcher(first, LearnedSettings(1e-4)).match(one, other))
    with torch.no_grad():
        for layer in network.confidences:
            layer.bias.fill_(-99.0)
    unsure = LearnedMatcher(network, LearnedSettings(1e-4, stop_share=0.01, prune=True)).match(one, other)
    assert as_pairs(unsure) == as_pairs(LearnedMatcher(network, LearnedSettings(1e-4)).match(one, other))


def test_what_is_hopeless_is_left_out(network):
    """The first layer is sure that half of the keypoints have no counterpart; the others keep their numbers."""
    one, other = features(20, 1), features(20, 2)
    with torch.no_grad():
        for layer in network.confidences:
            layer.bias.fill_(99.0)
        network.heads[0].matchable.weight.normal_(generator=draw(6)).mul_(30.0)
    found = LearnedMatcher(network, LearnedSettings(1e-6, prune=True)).match(one, other)
    everything = LearnedMatcher(network, LearnedSettings(1e-6)).match(one, other)
    assert 0 < len(found) < len(everything)
    assert found.matches01.max() > 10


def test_features_of_other_weights_are_refused_by_name(matcher):
    own = features(3, 1, weights="superpoint", weights_hash="0123456789abcdef")
    assert len(matcher.match(own, own)) == 3
    other = features(3, 1, weights="mine", weights_hash="fedcba9876543210")
    with pytest.raises(
        ValueError, match=r"matcher unnamed is for features of the weights 0123456789ab, .* mine \(fedcba98"
    ):
        matcher.match(other, other)
    with pytest.raises(ValueError, match="features of two networks"):
        matcher.match(own, other)
    long = dataclasses.replace(own, descriptors=torch.ones(3, 9))
    with pytest.raises(ValueError, match="takes descriptors of 8 numbers, got 9"):
        matcher.match(long, long)
    with pytest.raises(ValueError, match="needs descriptors"):
        matcher.match(own, dataclasses.replace(own, descriptors=None))
    with pytest.raises(ValueError, match="must be finite"):
        matcher.match(own, dataclasses.replace(own, descriptors=torch.full((3, 8), torch.nan)))


def test_a_file_of_weights_is_a_matcher(network, matcher, tmp_path):
    path = save_weights(tmp_path / "matcher.safetensors", network, {})
    loaded = LearnedMatcher.load(path, LearnedSettings(min_score=1e-4))
    assert loaded.network.settings == network.settings
    assert as_pairs(loaded.match(features(9, 1), features(9, 2))) == as_pairs(
        matcher.match(features(9, 1), features(9, 2))
    )
    with pytest.raises(ValueError, match="no matcher nothing: neither a file"):
        LearnedMatcher.load("nothing")
