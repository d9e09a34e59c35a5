"""The features of an image."""

import pytest
import torch

from magicpoint.core.types import Features


def test_features_know_their_count_and_move_together():
    features = Features(torch.zeros(3, 2), torch.zeros(3), torch.zeros(3, 256), (640, 480))
    assert len(features) == 3
    moved = features.to("meta")
    assert {moved.keypoints.device.type, moved.keypoint_scores.device.type} == {"meta"}
    assert moved.descriptors is not None
    assert moved.descriptors.device.type == "meta"
    assert moved.image_size == (640, 480)
    assert len(Features(torch.zeros(0, 2), torch.zeros(0), None, (1, 1)).to("cpu")) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keypoints": torch.zeros(3, 3)}, r"\(3, 3\)"),
        ({"keypoint_scores": torch.zeros(2)}, r"keypoint_scores.*\(2,\)"),
        ({"descriptors": torch.zeros(2, 256)}, r"\(2, 256\)"),
        ({"image_size": (0, 480)}, r"\(0, 480\)"),
        ({"image_size": (640.0, 480)}, r"640\.0"),
    ],
)
def test_features_refuse_what_does_not_fit(change, message):
    fields = {
        "keypoints": torch.zeros(3, 2),
        "keypoint_scores": torch.zeros(3),
        "descriptors": None,
        "image_size": (640, 480),
    }
    with pytest.raises(ValueError, match=message):
        Features(**(fields | change))


def test_features_refuse_another_type():
    with pytest.raises(TypeError, match=r"keypoints must be float32, got torch\.float64"):
        Features(torch.zeros(3, 2, dtype=torch.float64), torch.zeros(3), None, (640, 480))
