"""The matchers that ship: each for the weights of its name, and better than nearest neighbours.

Where weights change, their matcher is to be trained again, as its card says, or taken out.
"""

from pathlib import Path

import numpy as np
import pytest

from homography import warp_image
from magicpoint import DecodeSettings, Extractor, LearnedMatcher, LearnedSettings, match_features, read_image
from magicpoint.measures.matches import match_errors
from magicpoint.model.matcher import MatcherNetwork
from magicpoint.model.weights import load_weights, matcher_names, resolve, resolve_matcher, weights_hash

PHOTOGRAPH = Path(__file__).parents[3] / "notebooks" / "images" / "cameraman.png"
VIEW = np.array([[0.62, -0.2, 120.0], [0.12, 0.6, 60.0], [-2e-4, -3e-4, 1.0]])


def test_there_are_some():
    assert matcher_names()


@pytest.mark.parametrize("name", matcher_names())
def test_a_matcher_is_for_the_weights_of_its_name(name):
    network, _ = load_weights(resolve_matcher(name).path, MatcherNetwork)
    features = weights_hash(load_weights(resolve(name).path)[0].state_dict())
    assert network.settings.features == features
    assert LearnedMatcher.for_features(features).weights == name
    card = resolve_matcher(name).path.with_suffix(".md").read_text(encoding="utf-8")
    assert features in card
    assert weights_hash(network.state_dict()) in card
    assert resolve_matcher(name).path.stat().st_size < 4e6


def test_there_is_none_for_others():
    with pytest.raises(
        ValueError, match=f"no matcher ships for features of the weights 0123456789ab, .*{matcher_names()[0]}"
    ):
        LearnedMatcher.for_features("0123456789abcdef")


@pytest.mark.slow
@pytest.mark.parametrize("name", matcher_names())
@pytest.mark.parametrize("settings", [LearnedSettings(), LearnedSettings(stop_share=0.95, prune=True)])
def test_it_errs_less_than_nearest_neighbours_and_finds_as_much(name, settings):
    image0 = read_image(PHOTOGRAPH)
    image1 = (0.6 * warp_image(image0, VIEW)).astype(np.float32)
    extractor = Extractor.load(name, DecodeSettings(max_keypoints=500), "cpu")
    features = extractor.extract(image0), extractor.extract(image1)
    precision, found = {}, {}
    for way in (None, LearnedMatcher.load(name, settings)):
        right = match_errors(*features, match_features(*features, way), VIEW) <= 3.0
        precision[way is None], found[way is None] = right.mean(), right.sum()
    print(name, precision, found)
    assert precision[False] > precision[True] + 0.05
    assert found[False] > 0.85 * found[True]
