"""The validation of a training run."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from magicpoint.model.network import MagicPoint, Output
from magicpoint.training.targets import draw_keypoint_map, labels2Dto3D
from magicpoint.training.validation import magicpoint as validation
from magicpoint.training.validation.magicpoint import Validator


@pytest.fixture(autouse=True)
def _few_images(monkeypatch):
    monkeypatch.setattr(validation, "IMAGES_PER_SHAPE", 3)


class Silent(nn.Module):
    """Finds nothing."""

    def forward(self, image):
        logits = torch.full((len(image), 65, image.shape[2] // 8, image.shape[3] // 8), -20.0)
        logits[:, 64] = 20.0
        return Output(logits, None)


class Oracle(nn.Module):
    """Puts a peak on each true point, in the order in which the validator asks."""

    def __init__(self, validator):
        super().__init__()
        self._samples = [sample for shapes in validator._samples.values() for samples in shapes for sample in samples]

    def forward(self, image):
        truths = [torch.from_numpy(self._samples.pop(0).keypoints) for _ in image]
        target = labels2Dto3D(draw_keypoint_map(truths, image.shape[-2:], sigma=0.6))
        return Output((target + 1e-9).log(), None)


def test_a_detector_that_knows_the_labels_is_nearly_perfect():
    validator = Validator((120, 160))
    measures = validator.measure(Oracle(validator), torch.device("cpu"))
    assert set(measures) == {
        "ap_clean",
        "ap_noise",
        "ap_heavy",
        "localization_error_clean",
        "localization_error_noise",
        "localization_error_heavy",
        "keypoints_per_image",
    }
    # Points closer than the suppression radius are one keypoint, and cells with two share their probability.
    assert measures["ap_clean"] > 0.9
    assert measures["ap_noise"] == measures["ap_heavy"] == measures["ap_clean"]
    assert measures["localization_error_clean"] < 0.2
    assert 3 < measures["keypoints_per_image"] < 40


def test_a_dead_detector_has_no_keypoints_and_no_precision():
    measures = Validator((120, 160)).measure(Silent(), torch.device("cpu"))
    assert (measures["ap_clean"], measures["ap_noise"], measures["keypoints_per_image"]) == (0.0, 0.0, 0.0)
    assert math.isnan(measures["localization_error_clean"])


@pytest.mark.parametrize("training", [True, False])
def test_the_network_is_left_in_its_mode_and_unchanged_and_the_result_repeats(monkeypatch, training):
    monkeypatch.setattr(validation, "IMAGES_PER_SHAPE", 1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = MagicPoint(0.125).train(training)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    validator = Validator((64, 80))
    first, second = (validator.measure(model, torch.device("cpu")) for _ in range(2))
    np.testing.assert_equal(first, second)  # nan equals nan
    np.testing.assert_equal(first, Validator((64, 80)).measure(model, torch.device("cpu")))
    assert model.training is training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_the_mode_is_restored_when_the_network_fails():
    class Broken(nn.Module):
        def forward(self, image):
            raise RuntimeError("broken")

    model = Broken().train()
    with pytest.raises(RuntimeError, match="broken"):
        Validator((64, 80)).measure(model, torch.device("cpu"))
    assert model.training


def test_a_size_that_the_network_cannot_take_is_refused():
    with pytest.raises(ValueError, match="100x160"):
        Validator((100, 160))
