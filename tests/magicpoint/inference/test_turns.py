"""Quarter turns: of points on paper, and of photographs that do not match without them."""

import json

import cv2
import numpy as np
import pytest
import torch

from magicpoint import DecodeSettings, Extractor, match_features
from magicpoint.cli import main
from magicpoint.core.types import Features
from magicpoint.inference.turns import extract_turned, match_turns, turn_back
from magicpoint.io.grey import GreyImage


@pytest.mark.parametrize("turns", range(5))
def test_a_turned_pixel_goes_back_to_its_place(turns):
    image = np.zeros((3, 5))
    image[1, 4] = 1.0
    turned = np.rot90(image, turns)
    [[y, x]] = np.argwhere(turned == 1.0).astype(np.float32)
    features = Features(torch.tensor([[x, y]]), torch.ones(1), None, (turned.shape[1], turned.shape[0]))
    back = turn_back(features, turns)
    assert back.keypoints.tolist() == [[4, 1]]
    assert back.image_size == (5, 3)


@pytest.fixture(scope="module")
def extractor():
    return Extractor.load("superpoint-tiny", DecodeSettings(max_keypoints=300), device="cpu")


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_turned_photograph_matches_in_one_turn(extractor, turns):
    image = cv2.imread("notebooks/images/cameraman.png", cv2.IMREAD_GRAYSCALE)[:300, 100:]  # not square
    grey0 = image.astype(np.float32) / 255
    grey1 = np.ascontiguousarray(np.rot90(grey0, -turns))  # clockwise, so the same number anticlockwise undoes it
    features0 = extractor.extract(grey0)
    found = match_turns(features0, grey1, extractor)
    assert found.turns == turns
    assert found.features1.image_size == (grey1.shape[1], grey1.shape[0])
    index = found.matches.matches01
    assert found.geometry.inliers.mean() > 0.95
    # A pixel (x, y) of the photograph lies in its clockwise turns at:
    x, y = features0.keypoints[index[:, 0]].T.numpy()
    expected = [(x, y), (299 - y, x), (411 - x, 299 - y), (y, 411 - x)][turns]
    distance = np.hypot(*(found.features1.keypoints[index[:, 1]].T.numpy() - np.array(expected)))
    assert np.median(distance) < 0.1
    if turns == 2:
        without = match_features(features0, extractor.extract(grey1))
        assert len(without) < len(found.matches) / 2


def test_nothing_to_match_is_an_answer(extractor):
    empty = extractor.extract(np.zeros((40, 48), np.float32))
    found = match_turns(empty, np.zeros((40, 48), np.float32), extractor)
    assert (found.turns, len(found.matches), found.geometry) == (0, 0, None)


def test_a_mask_turns_with_its_image(extractor):
    grey = cv2.imread("notebooks/images/cameraman.png", cv2.IMREAD_GRAYSCALE)[:300].astype(np.float32) / 255
    mask = np.zeros(grey.shape, bool)
    mask[40:200, 150:400] = True
    for turns in range(4):
        found = extract_turned(extractor, GreyImage(grey, mask), turns)
        x, y = found.keypoints.round().long().T
        assert len(found) > 10
        assert mask[y, x].all()


def test_match_finds_the_turn(tmp_path, capsys):
    photograph = cv2.imread("notebooks/images/cameraman.png", cv2.IMREAD_GRAYSCALE)
    cv2.imwrite(str(tmp_path / "turned.png"), np.rot90(photograph))
    words = ["match", "notebooks/images/cameraman.png", str(tmp_path / "turned.png"), "--weights", "superpoint-tiny"]
    assert main([*words, "--max_keypoints", "200", "--turns", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["turns"] == 3  # one turn back
    # Turned once anticlockwise, (x, y) lies at (y, 511 - x).
    np.testing.assert_allclose(result["H_0to1"], [[0, 1, 0], [-1, 0, 511], [0, 0, 1]], atol=0.5)
