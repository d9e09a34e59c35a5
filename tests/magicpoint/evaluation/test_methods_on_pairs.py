import cv2
import numpy as np
import pytest
import torch

from magicpoint.decoding.nms import suppress_points
from magicpoint.decoding.settings import DecodeSettings
from magicpoint.evaluation.methods.base import Selection
from magicpoint.evaluation.methods.network import NetworkOnPairs
from magicpoint.evaluation.methods.on_pairs import select_points
from magicpoint.evaluation.methods.opencv import ON_PAIRS
from magicpoint.evaluation.pairs.score import measure_pair
from magicpoint.inference.extractor import Extractor
from magicpoint.model.network import SuperPoint


def test_suppression_is_greedy_by_rank():
    generator = np.random.default_rng(0)
    points = (generator.random((300, 2)) * [60, 40] - 0.5).astype(np.float32)
    kept = []
    for index, place in enumerate(np.rint(points)):
        if all(np.abs(place - np.rint(points[other])).max() > 3 for other in kept):
            kept.append(index)
    assert suppress_points(points, 3).tolist() == kept
    assert suppress_points(points, 0).tolist() == list(range(300))
    assert len(suppress_points(np.zeros((0, 2), np.float32), 3)) == 0


def test_selection_drops_the_border_after_the_suppression_and_then_the_weakest():
    points = np.array([[3, 20], [6, 20], [30, 20], [40, 20], [50, 20]], np.float32)
    chosen = select_points(np.zeros((40, 60), np.uint8), points, None, Selection(4, 4, 2, False))
    assert chosen.keypoints.tolist() == [[30, 20], [40, 20]]
    assert chosen.image_size == (60, 40)


def texture(height=120, width=160, seed=0):
    noise = np.random.default_rng(seed).integers(0, 256, (height, width)).astype(np.uint8)
    return cv2.equalizeHist(cv2.GaussianBlur(noise, (0, 0), 2.0))


@pytest.mark.parametrize("name", ON_PAIRS)
def test_every_method_keeps_to_the_selection(name):
    method = ON_PAIRS[name]
    image = texture(200, 240)
    for wanted in {False, method.has_descriptors}:
        detect = method.prepare(Selection(4, 6, 40, wanted))
        found = detect(image)
        assert 10 < len(found) <= 40
        assert (found.keypoints >= 5.5).all()
        assert (found.keypoints <= torch.tensor([240.0, 200.0]) - 6.5).all()
        assert (found.keypoint_scores.diff() <= 0).all()
        assert torch.equal(found.keypoints, detect(image).keypoints)
        assert (found.descriptors is not None) == wanted
        if wanted:
            np.testing.assert_allclose(found.descriptors.norm(dim=1), 1, atol=1e-5)
        elif len(found) > 1:
            apart = (found.keypoints[:, None] - found.keypoints).abs().amax(dim=2) + 99 * torch.eye(len(found))
            assert (
                apart.min() > 3
            )  # the pixels are more than 4 apart, what is refined between them by half a pixel less


@pytest.mark.parametrize("name", sorted(set(ON_PAIRS) - {"random"}))
def test_a_flat_image_has_no_keypoints_but_comparable_descriptors(name):
    method = ON_PAIRS[name]
    selection = Selection(4, 4, 40, method.has_descriptors)
    flat, found = (method.prepare(selection)(image) for image in (np.zeros((120, 160), np.uint8), texture()))
    assert len(flat) == 0
    measures = measure_pair(flat, found, np.eye(3), method.has_descriptors)
    assert measures["repeatability"] == 0
    assert measures.get("homography_accuracy_5", 0) == 0


def test_the_network_is_asked_for_as_many_keypoints_as_the_selection_keeps():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = SuperPoint(0.125, descriptor_dim=16)
    extractor = Extractor(model, DecodeSettings(threshold=0.5, max_keypoints=3), "cpu")
    found = NetworkOnPairs(extractor).prepare(Selection(2, 8, 30, True))(texture())
    assert len(found) <= 30
    assert (found.keypoints >= 7.5).all()
    assert found.descriptors.shape == (len(found), 16)
