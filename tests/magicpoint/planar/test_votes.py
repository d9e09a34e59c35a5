"""Which templates are worth a closer look, by pairs of keypoints whose places are known."""

import math

import numpy as np
import pytest
import torch

from magicpoint import Features
from magicpoint.planar.templates import HALVINGS, PROBES, TURNS, Template
from magicpoint.planar.votes import LEAST_VOTES, MOST_LOOKS, SLACK, Votes, _span, _spread, turn_votes

AREA = (100, 80)
CORNERS = torch.tensor([[0.0, 0.0], [30.0, 0.0], [30.0, 20.0], [0.0, 20.0]])


def known(descriptors, places, turn=0, name="known"):
    """A template whose probes of one turn, at the second of its sizes, are given."""
    probes = torch.zeros(TURNS, HALVINGS, PROBES, descriptors.shape[1])
    where = torch.zeros(TURNS, HALVINGS, PROBES, 2)
    probes[turn, 1, : len(places)], where[turn, 1, : len(places)] = descriptors, places
    return Template(name, (64, 48), (), probes, where, np.zeros((4, 4), np.float32))


def scene(keypoints, descriptors, scales=None):
    scales = torch.ones(len(keypoints)) if scales is None else torch.tensor(scales)
    return Features(keypoints, torch.ones(len(keypoints)), descriptors, AREA, keypoint_scales=scales)


def votes_of(template, seen):
    assert seen.descriptors is not None
    descriptors = seen.descriptors.T.contiguous()
    return turn_votes(template.probes.flatten(0, 1), template.places, descriptors, seen, _spread(seen))


def test_four_that_keep_their_places_have_the_votes_worked_out_on_paper():
    """A probe at a corner of a box of 30 by 20 agrees with those 30, 20 and sqrt(1300) away; each adds
    log(A / 2 pi r^2) with r = 0.8 times that and 2 more. The keypoints vary by 300 and 400 / 3, each with n - 1, as if
    they lay evenly over 12 sqrt(300 x 400 / 3)."""
    spread = 12 * math.sqrt(300.0 * 400.0 / 3)
    expected = sum(max(0.0, math.log(spread / (2 * math.pi * (0.8 * d + SLACK) ** 2))) for d in (30, 20, 1300**0.5))
    found = votes_of(known(torch.eye(4), CORNERS, turn=2), scene(CORNERS + 10, torch.eye(4)))
    assert found.tolist() == pytest.approx([0.0, 0.0, expected, 0.0], abs=1e-5)
    assert expected > 0


@pytest.mark.parametrize(("factor", "agree"), [(1.0, True), (1.5, True), (0.6, True), (2.5, False), (0.0, False)])
def test_a_pair_agrees_where_its_distance_is_roughly_as_expected(factor, agree):
    """Off by (factor - 1) of the distance, where 0.8 of it and two pixels are allowed; far keypoints make room."""
    far = torch.tensor([[0.0, 79.0], [99.0, 0.0], [99.0, 79.0]])
    places = torch.tensor([[0.0, 0.0], [20.0, 0.0]])
    seen = scene(torch.cat((places * factor, far)), torch.eye(5))
    votes = votes_of(known(torch.eye(5)[:2], places), seen)
    assert (votes[0] > 0) == agree


def test_places_are_enlarged_as_the_scene_was_when_it_was_looked_at():
    """Keypoints that were found in a scene at twice its size lie half as far apart in the scene itself."""
    places = torch.tensor([[0.0, 0.0], [40.0, 0.0], [0.0, 40.0]])
    far = torch.tensor([[99.0, 79.0], [99.0, 0.0]])
    template = known(torch.eye(5)[:3], 5 * places)
    as_seen = torch.cat((places, far))
    assert votes_of(template, scene(as_seen, torch.eye(5), [1.0] * 5)).max() == 0
    assert votes_of(template, scene(as_seen, torch.eye(5), [0.2] * 3 + [1.0] * 2)).max() > 0
    mixed = votes_of(template, scene(as_seen, torch.eye(5), [0.2, 0.1, 0.4, 1.0, 1.0]))
    assert mixed.max() == 0  # what was seen at different sizes says nothing of each other


def test_a_keypoint_that_is_nearer_to_another_probe_of_its_turn_does_not_vote():
    places = torch.tensor([[0.0, 0.0], [20.0, 0.0], [21.0, 0.0]])
    near = torch.nn.functional.normalize(torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.9, 0.2]]), dim=1)
    far = torch.tensor([[0.0, 79.0], [99.0, 79.0]])
    seen = scene(torch.cat((places[:2], far)), torch.eye(3)[[0, 1, 2, 2]])
    both, one = (votes_of(known(near[:count], places[:count]), seen)[0] for count in (3, 2))
    assert one > 0
    assert both == one


def test_turns_in_a_template_are_those_of_its_picture(locator_of_a_card):
    """A card is seen as it is and in each quarter turn: that turn has most votes."""
    locator, card = locator_of_a_card
    for turn in range(TURNS):
        ground = np.full((240, 240), 128, np.uint8)
        turned = np.rot90(card, turn)
        ground[40 : 40 + turned.shape[0], 30 : 30 + turned.shape[1]] = turned
        [template] = locator.templates
        features = locator.extractor.extract(ground).to("cpu")
        best = Votes([template]).likely(features, [template])
        assert best[0][1] == turn


@pytest.fixture(scope="module")
def locator_of_a_card():
    from magicpoint.planar.locate import Locator

    rng = np.random.default_rng(1)
    card = np.kron(rng.integers(0, 256, (12, 16)), np.ones((10, 10))).astype(np.uint8)
    return Locator.from_pretrained({"card": card}, "superpoint-tiny", proposals=None, verifier=None), card


def test_of_many_templates_the_likeliest_are_looked_at_first_and_no_more_than_so_many():
    """Ten templates of which probes of one, two, ... more lie where they should."""
    rng = np.random.default_rng(0)
    places = torch.from_numpy(rng.uniform(0, 1, (24, 2)) * AREA).float()
    seen, templates = scene(places, torch.eye(24)), []
    for number in range(30):
        moved = places.clone()
        moved[number % 10 + 14 :] = torch.from_numpy(rng.uniform(0, 1, (10 - number % 10, 2)) * AREA).float()
        templates.append(known(torch.eye(24), moved, name=str(number)))
    votes = Votes(templates)
    likely = votes.likely(seen, templates)
    values = [float(votes_of(template, seen)[turn]) for template, turn in likely]
    assert len(likely) == MOST_LOOKS
    assert values == sorted(values, reverse=True)
    assert min(values) >= LEAST_VOTES
    assert {template.name for template, _ in likely} >= {"9", "19", "29"}


def test_nothing_is_likely_in_a_scene_without_keypoints():
    template = known(torch.eye(4), CORNERS)
    assert Votes([template]).likely(scene(torch.zeros(0, 2), torch.zeros(0, 4)), [template]) == []
    assert Votes([template]).likely(scene(CORNERS[:1], torch.eye(4)[:1]), [template]) == []


def test_keypoints_that_lie_evenly_are_spread_over_the_scene_and_those_on_a_line_over_nothing():
    y, x = torch.meshgrid(torch.arange(80.0), torch.arange(100.0), indexing="ij")
    even = torch.stack((x.flatten(), y.flatten()), dim=1)
    assert _spread(scene(even, torch.zeros(8000, 2))) == pytest.approx(8000, rel=1e-3)
    half = even[even[:, 0] < 50]
    assert _spread(scene(half, torch.zeros(4000, 2))) == pytest.approx(4000, rel=1e-3)
    assert _spread(scene(even[:100], torch.zeros(100, 2))) == 1.0


def test_descriptors_are_compared_in_the_space_that_they_span():
    flat = torch.nn.functional.normalize(torch.randn(50, 3, generator=torch.Generator().manual_seed(0)), dim=1)
    basis = torch.linalg.qr(torch.randn(16, 16, generator=torch.Generator().manual_seed(1))).Q[:, :3]
    span = _span(flat @ basis.T)
    assert span.shape == (16, 3)
    torch.testing.assert_close((flat @ basis.T @ span) @ (flat @ basis.T @ span).T, flat @ flat.T, atol=1e-5, rtol=0)
