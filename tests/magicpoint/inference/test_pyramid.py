"""Keypoints at several scales: where they lie, which are kept, and that a change of scale no longer matters."""

import cv2
import numpy as np
import pytest
import torch

from magicpoint import DecodeSettings, Extractor, estimate_homography, match_features
from magicpoint.core.types import Features
from magicpoint.inference.pyramid import OCTAVES, find_at_scales
from magicpoint.io.masks import MARGIN


class OneCorner:
    """Finds in every image one keypoint, at a share of its width and height, with a score by its size."""

    def __init__(self):
        self.seen, self.masks = [], []

    def __call__(self, image, mask):
        height, width = image.shape
        self.seen.append((width, height))
        self.masks.append(mask)
        x, y = 0.25 * width - 0.5, 0.5 * height - 0.5  # from pixel edges, which begin at -1/2
        return Features(torch.tensor([[x, y]]), torch.tensor([1 / width]), torch.ones(1, 1), (width, height))


def test_a_place_of_the_scene_is_one_place_at_every_scale():
    find = OneCorner()
    features = find_at_scales(find, np.zeros((100, 200), np.float32), None, (1.0, 0.5, 2.0, 0.25), None)
    assert find.seen == [(200, 100), (100, 50), (400, 200), (50, 25)]
    assert find.masks == [None] * 4
    assert features.image_size == (200, 100)
    torch.testing.assert_close(features.keypoints, torch.tensor([[49.5, 49.5]]).expand(4, -1))
    assert features.keypoint_scales.tolist() == [4, 2, 1, 0.5]  # in the order of the scores, the smallest image first


def test_sides_are_rounded_and_each_has_its_own_factor():
    find = OneCorner()
    features = find_at_scales(find, np.zeros((33, 47), np.float32), None, (0.5,), None)
    assert find.seen == [(24, 16)]
    torch.testing.assert_close(features.keypoints, torch.tensor([[0.25 * 47 - 0.5, 0.5 * 33 - 0.5]]))


def test_a_mask_is_shrunk_with_its_image():
    find, mask = OneCorner(), np.ones((40, 80), bool)
    mask[:, :30] = False
    find_at_scales(find, np.zeros((40, 80), np.float32), mask, (1.0, 0.5), None)
    assert find.masks[0] is mask
    assert find.masks[1].sum(1).tolist() == [25] * 20  # of 40 columns the first 15 are covered


def test_scales_too_small_to_look_at_are_left_out():
    find = OneCorner()
    find_at_scales(find, np.zeros((20, 40), np.float32), None, (1.0, 0.5, 0.25), None)
    assert find.seen == [(40, 20), (20, 10)]
    find = OneCorner()
    find_at_scales(find, np.zeros((4, 4), np.float32), None, (0.5,), None)
    assert find.seen == [(4, 4)]


@pytest.mark.parametrize("scales", [(), (0.0,), (1.0, -1.0), (float("nan"),), (5.0,)])
def test_scales_that_cannot_be_are_refused(scales):
    with pytest.raises(ValueError, match="scales must be in"):
        Extractor.load("superpoint-tiny", scales=scales)


@pytest.fixture(scope="module")
def extractor():
    return Extractor.load("superpoint-tiny", DecodeSettings(max_keypoints=400), device="cpu")


@pytest.fixture(scope="module")
def photograph():
    return cv2.imread("notebooks/images/cameraman.png", cv2.IMREAD_GRAYSCALE).astype(np.float32) / 255


def at_scales(scales, most=400):
    return Extractor.load("superpoint-tiny", DecodeSettings(max_keypoints=most), device="cpu", scales=scales)


def test_one_scale_is_the_image_itself(extractor, photograph):
    alone, one = extractor.extract(photograph), at_scales([1]).extract(photograph)
    assert torch.equal(one.keypoints, alone.keypoints)
    assert one.keypoint_scales is None
    assert at_scales([1]).provenance == extractor.provenance
    assert at_scales([1, 0.5]).provenance == {**extractor.provenance, "scales": "[1.0, 0.5]"}


def test_the_best_of_all_scales_are_kept(photograph):
    everything, best = (at_scales((1.0, 0.5), most).extract(photograph) for most in (400, 150))
    assert len(everything) > 300
    assert torch.equal(best.keypoints, everything.keypoints[:150])
    assert set(best.keypoint_scales.tolist()) == {1.0, 2.0}
    assert (best.keypoint_scores.diff() <= 0).all()


def test_no_keypoint_lies_beside_a_mask_at_any_scale(photograph):
    mask = np.zeros(photograph.shape, bool)
    mask[100:300, 150:400] = True
    features = at_scales(OCTAVES).extract(photograph, mask)
    assert set(features.keypoint_scales.tolist()) == {1.0, 2.0, 4.0}
    x, y = features.keypoints.T
    margin = MARGIN * features.keypoint_scales
    assert ((x - 149.5 > margin) & (399.5 - x > margin) & (y - 99.5 > margin) & (299.5 - y > margin)).all()


def test_a_photograph_matches_itself_at_a_quarter_of_its_size(photograph):
    small = cv2.resize(photograph, (128, 128), interpolation=cv2.INTER_AREA)
    truth = np.array([[0.25, 0, -0.375], [0, 0.25, -0.375], [0, 0, 1]])  # (x + 1/2) / 4 - 1/2
    extractor = at_scales(OCTAVES)
    features0, features1 = extractor.extract(photograph), extractor.extract(small)
    index = match_features(features0, features1).matches01
    estimate = estimate_homography(features0.keypoints[index[:, 0]], features1.keypoints[index[:, 1]])
    corners = np.array([[0, 0, 1], [511, 0, 1], [0, 511, 1], [511, 511, 1]]).T
    found, expected = estimate.H_0to1 @ corners, truth @ corners
    assert np.abs(found[:2] / found[2] - expected[:2]).max() < 0.5


def test_a_resized_image_gives_its_own_pixels_at_every_scale(photograph):
    resized = Extractor.load(
        "superpoint-tiny", DecodeSettings(max_keypoints=100), "cpu", longest_side=256, scales=(1.0, 0.5)
    )
    features = resized.extract(photograph)
    assert features.image_size == (512, 512)
    assert features.keypoints.max() > 300
