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


def wall():
    """The same window again and again, and here and there a piece of the photograph."""
    photograph = read_image(PHOTOGRAPH)
    image = np.full((320, 448), 0.7, np.float32)
    for top in range(16, 300, 56):
        for left in range(16, 420, 64):
            image[top : top + 36, left : left + 40] = 0.25
            image[top + 4 : top + 32, left + 4 : left + 36] = 0.5
    for top, left, row, column in ((60, 90, 60, 150), (200, 300, 90, 230), (130, 200, 250, 170)):
        image[top : top + 56, left : left + 64] = photograph[row : row + 56, column : column + 64]
    return image


@pytest.mark.slow
@pytest.mark.parametrize("name", matcher_names())
@pytest.mark.parametrize("settings", [LearnedSettings(), LearnedSettings(stop_share=0.95, prune=True)])
def test_repeated_things_are_not_taken_for_each_other(name, settings):
    view = np.array([[0.9, -0.08, -40.0], [0.05, 0.95, 10.0], [1e-4, 1e-4, 1.0]])
    image0 = wall()
    image1 = np.asarray(warp_image(image0, view), np.float32)
    extractor = Extractor.load(name, DecodeSettings(max_keypoints=400), "cpu")
    features = extractor.extract(image0), extractor.extract(image1)
    ways = {"nearest": None, "learned": LearnedMatcher.load(name, settings)}
    right = {way: match_errors(*features, match_features(*features, how), view) <= 3.0 for way, how in ways.items()}
    print(name, {way: (int(found.sum()), len(found)) for way, found in right.items()})
    assert right["learned"].mean() > right["nearest"].mean() + 0.05
    assert right["learned"].sum() > 0.8 * right["nearest"].sum()
