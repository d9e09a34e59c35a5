"""The validation of joint training, with networks that see exactly and not at all."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from homography import HomographySettings
from magicpoint.data.photometric import PhotometricSettings
from magicpoint.data.samples import certain_sample
from magicpoint.data.settings import ViewSettings
from magicpoint.model.network import Output
from magicpoint.training.targets import labels2Dto3D
from magicpoint.training.validation.superpoint import ViewValidator

STILL = HomographySettings(translation=0.0, scale=0.0, rotation=0.0, perspective=0.0, patch_ratio=1.0)
SETTINGS = ViewSettings((48, 64), 1.0, 0.0, STILL, PhotometricSettings(probability=0.0))


class Dots:
    """White pixels on black, where nothing else is."""

    def __getitem__(self, index):
        image = np.zeros((48, 64), np.uint8)
        image[11::13, 9::17] = 255
        return certain_sample(image, np.zeros((0, 2), np.float32))


class SeesDots(nn.Module):
    """A keypoint at each white pixel; each cell's descriptor is a unit vector of its own."""

    def forward(self, image):
        logits = 100.0 * labels2Dto3D((image > 0.5).float())
        rows, columns = image.shape[2] // 8, image.shape[3] // 8
        descriptors = torch.eye(rows * columns).view(1, -1, rows, columns)
        return Output(logits, descriptors)


class SeesNothing(nn.Module):
    def forward(self, image):
        logits = torch.zeros(1, 65, image.shape[2] // 8, image.shape[3] // 8)
        logits[:, 64] = 100.0
        return Output(logits, F.normalize(torch.ones(1, 8, *logits.shape[2:]), dim=1))


def test_a_network_that_sees_the_same_in_equal_views_repeats_and_matches_all():
    model = SeesDots().train()
    measures = ViewValidator(Dots(), [3, 4], SETTINGS).measure(model, torch.device("cpu"))
    assert measures == {
        "repeatability": 1.0,
        "localization_error": pytest.approx(0.0, abs=1e-6),
        "matching_score": 1.0,
        "matching_accuracy": 1.0,
        "keypoints_per_image": 9.0,  # in rows 11, 24, 37 and columns 9, 26, 43; column 60 is in the border of 4
    }
    assert model.training


def test_a_network_that_sees_nothing_has_nothing_to_repeat():
    measures = ViewValidator(Dots(), [0], SETTINGS).measure(SeesNothing(), torch.device("cpu"))
    assert math.isnan(measures["repeatability"])
    assert measures["keypoints_per_image"] == 0.0


def test_the_edge_of_the_image_in_a_view_is_no_keypoint():
    class White:
        def __getitem__(self, index):
            return certain_sample(np.full((48, 64), 255, np.uint8), np.zeros((0, 2), np.float32))

    class SeesEdges(SeesDots):
        """A keypoint wherever brightness changes between neighbours."""

        def forward(self, image):
            edges = F.max_pool2d(image, 3, 1, 1) - image > 0.5
            return Output(100.0 * labels2Dto3D(edges.float()), super().forward(image).descriptors)

    turned = HomographySettings(translation=0.0, scale=0.2, rotation=0.5, perspective=0.1, patch_ratio=0.9)
    settings = ViewSettings((48, 64), 1.0, 0.0, turned, PhotometricSettings(probability=0.0))
    measures = ViewValidator(White(), [0, 1, 2, 3], settings).measure(SeesEdges(), torch.device("cpu"))
    assert measures["keypoints_per_image"] == 0.0
