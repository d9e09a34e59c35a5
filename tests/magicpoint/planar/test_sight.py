"""What training sees, drawn."""

import numpy as np
import pytest
import torch

from magicpoint.planar.model import QuadNetwork
from magicpoint.planar.scenes import Scene
from magicpoint.planar.settings import QuadModelSettings
from magicpoint.planar.sight import draw_sight


@pytest.mark.parametrize("stages", [1, 2])
@pytest.mark.parametrize("count", [0, 1])
def test_a_scene_is_drawn_six_times_whatever_is_in_it(stages, count):
    square = np.array([[[8, 8], [40, 8], [40, 40], [8, 40]]], np.float32)[:count]
    scene = Scene(np.zeros((48, 64), np.uint8), square, np.ones(count, np.float32), np.zeros(count, np.int64))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = QuadNetwork(QuadModelSettings(0.125, neck=8, proposals=4, stages=stages)).eval()
    picture = draw_sight(network, scene)
    assert picture.shape == (48, 6 * 64, 3)
    assert all(part.any() for part in np.split(picture, 6, axis=1))
