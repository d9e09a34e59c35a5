"""Keypoints at several scales: where they lie, which are kept, and that a change of scale no longer matters."""

import cv2
import numpy as np
import pytest
import torch

from magicpoint import DecodeSettings, Extractor, estimate_homography, match_features
from magicpoint.core.types import Features
from magicpoint.inference.pyramid import extract_pyramid


class OneCorner:
    """Finds in every image one keypoint, at the share of its width and height, with a score by its size."""

    settings = DecodeSettings(max_keypoints=None)

    def __init__(self, place=(0.25, 0.5)):
        self.place, self.seen = place, []

    def extract(self, image):
        height, width = image.shape
        self.seen.append((width, height))
        x, y = self.place[0] * width - 0.5, self.place[1] * height - 0.5  # pixel edges, from the corner of the image
        return Features(torch.tensor([[x, y]]), torch.tensor([1 / width]), torch.ones(1, 1), (width, height))


def test_a_place_of_the_scene_is_one_place_at_every_scale():
    extractor = OneCorner()
    features = extract_pyramid(extractor, np.zeros((100, 200), np.float32), (1.0, 0.5, 2.0, 0.25))
    assert extractor.seen == [(200, 100), (100, 50), (400, 200), (50, 25)]
    assert features.image_size == (200, 100)
    torch.testing.assert_close(features.keypoints, torch.tensor([[49.5, 49.5]]).expand(4, -1))
    assert features.keypoint_scales.tolist() == [4, 2, 1, 0.5]  # in the order of the scores, the smallest image first


def test_sides_are_rounded_and_each_has_its_own_factor():
    extractor = OneCorner()
    features = extract_pyramid(extractor, np.zeros((33, 47), np.float32), (0.5,))
    assert extractor.seen == [(24, 16)]
    torch.testing.assert_close(features.keypoints, torch.tensor([[0.25 * 47 - 0.5, 0.5 * 33 - 0.5]]))


def test_scales_too_small_to_look_at_are_left_out():
    extractor = OneCorner()
    extract_pyramid(extractor, np.zeros((20, 40), np.float32), (1.0, 0.5, 0.25))
    assert extractor.seen == [(40, 20), (20, 10)]
    extractor = OneCorner()
    extract_pyramid(extractor, np.zeros((4, 4), np.float32), (0.5,))
    assert extractor.seen == [(4, 4)]


@pytest.mark.parametrize("scales", [(), (0.0,), (1.0, -1.0), (float("nan"),), (5.0,)])
def test_scales_that_cannot_be_are_refused(scales):
    with pytest.raises(ValueError, match="scales must be in"):
        extract_pyramid(OneCorner(), np.zeros((20, 40), np.float32), scales)


@pytest.fixture(scope="module")
def extractor():
    return Extractor.load("superpoint-tiny", DecodeSettings(max_keypoints=400), device="cpu")


@pytest.fixture(scope="module")
def photograph():
    return cv2.imread("notebooks/images/cameraman.png", cv2.IMREAD_GRAYSCALE).astype(np.float32) / 255


def test_one_scale_is_the_extractor_itself(extractor, photograph):
    alone, features = extractor.extract(photograph), extract_pyramid(extractor, photograph, (1.0,))
    assert torch.equal(features.keypoints, alone.keypoints)
    assert torch.equal(features.descriptors, alone.descriptors)
    assert set(features.keypoint_scales.tolist()) == {1.0}


def test_the_best_of_all_scales_are_kept(extractor, photograph):
    everything = extract_pyramid(extractor, photograph, (1.0, 0.5))
    best = extract_pyramid(extractor.with_settings(DecodeSettings(max_keypoints=150)), photograph, (1.0, 0.5))
    assert len(everything) > 300
    assert torch.equal(best.keypoints, everything.keypoints[:150])
    assert set(best.keypoint_scales.tolist()) == {1.0, 2.0}
    assert (best.keypoint_scores.diff() <= 0).all()


def test_a_photograph_matches_itself_at_a_quarter_of_its_size(extractor, photograph):
    small = cv2.resize(photograph, (128, 128), interpolation=cv2.INTER_AREA)
    truth = np.array([[0.25, 0, -0.375], [0, 0.25, -0.375], [0, 0, 1]])  # (x + 1/2) / 4 - 1/2
    features0, features1 = extract_pyramid(extractor, photograph), extract_pyramid(extractor, small)
    index = match_features(features0, features1).matches01
    estimate = estimate_homography(features0.keypoints[index[:, 0]], features1.keypoints[index[:, 1]])
    corners = np.array([[0, 0, 1], [511, 0, 1], [0, 511, 1], [511, 511, 1]]).T
    found, expected = estimate.H_0to1 @ corners, truth @ corners
    assert np.abs(found[:2] / found[2] - expected[:2]).max() < 0.5
