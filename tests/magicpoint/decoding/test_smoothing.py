"""A smoothed heatmap, against what a Gaussian is on paper."""

import pytest
import torch

from magicpoint.decoding.smoothing import smooth


def test_a_smoothed_point_is_a_gaussian():
    heatmap = torch.zeros(1, 33, 33)
    heatmap[0, 16, 16] = 1.0
    found = smooth(heatmap, 1.2)[0]
    assert found.sum().item() == pytest.approx(1.0, abs=1e-6)
    for axis in (0, 1):
        offset = torch.arange(33.0) - 16
        assert (found.sum(1 - axis) * offset).sum().item() == pytest.approx(0, abs=1e-6)
        assert (found.sum(1 - axis) * offset**2).sum().item() == pytest.approx(1.44, rel=0.03)
    torch.testing.assert_close(smooth(torch.full((1, 9, 9), 0.3), 2.0), torch.full((1, 9, 9), 0.3))
