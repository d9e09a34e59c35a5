"""Descriptors at keypoints, from a map of them."""

import random

import pytest
import torch

from magicpoint.decoding.descriptors import legacy_places, sample_descriptors


def test_a_ramp_is_sampled_at_its_analytic_value():
    # Three channels x, y, 1 given at the cells' centres; after normalisation x / 1 and y / 1 are still the position.
    x, y = torch.meshgrid(8 * torch.arange(7) + 3.5, 8 * torch.arange(5) + 3.5, indexing="xy")
    dense = torch.stack((x, y, torch.ones_like(x)))[None]
    rng = random.Random(0)
    points = [[3.5, 3.5], [51.5, 35.5], *([rng.uniform(3.5, 51.5), rng.uniform(3.5, 35.5)] for _ in range(20))]
    keypoints = torch.tensor(points)
    [descriptors] = sample_descriptors(dense, [keypoints])
    torch.testing.assert_close(descriptors[:, :2] / descriptors[:, 2:], keypoints, atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(descriptors.norm(dim=1), torch.ones(22))


def test_beyond_the_outermost_centres_their_value_holds():
    dense = torch.randn(1, 4, 2, 3, generator=torch.Generator().manual_seed(0))
    [descriptors] = sample_descriptors(dense, [torch.tensor([[0.0, 0.0], [3.5, 3.5], [23.0, 15.0], [19.5, 11.5]])])
    torch.testing.assert_close(descriptors[0], descriptors[1])
    torch.testing.assert_close(descriptors[2], descriptors[3])
    torch.testing.assert_close(descriptors[1], torch.nn.functional.normalize(dense[0, :, 0, 0], dim=0))


def test_the_legacy_places_are_those_of_the_formula_with_align_corners():
    # 4x3 cells: x = 3.5 is the first cell's centre, x = 8 * 4 - 1 the last's; on the way the formula is linear.
    places = legacy_places(torch.tensor([[3.5, 3.5], [31.0, 23.0], [17.25, 13.25]]), (3, 4))
    torch.testing.assert_close(places, torch.tensor([[3.5, 3.5], [27.5, 19.5], [15.5, 11.5]]))
    dense = torch.randn(1, 4, 3, 4, generator=torch.Generator().manual_seed(0))
    keypoints = torch.rand(50, 2, generator=torch.Generator().manual_seed(1)) * torch.tensor([27.5, 19.5]) + 3.5
    grid = (keypoints - 3.5) / torch.tensor([8 * 4 - 4.5, 8 * 3 - 4.5]) * 2 - 1
    values = torch.nn.functional.grid_sample(dense, grid[None, None], align_corners=True)[0, :, 0].T
    [sampled] = sample_descriptors(dense, [keypoints], "legacy")
    torch.testing.assert_close(sampled, torch.nn.functional.normalize(values, dim=1))


def test_each_image_is_sampled_from_its_own_map_also_without_keypoints_and_in_half_precision():
    dense = torch.randn(2, 4, 1, 1, dtype=torch.bfloat16, generator=torch.Generator().manual_seed(0))
    empty, one = sample_descriptors(dense, [torch.zeros(0, 2), torch.tensor([[2.0, 6.0]])])
    assert empty.shape == (0, 4)
    assert empty.dtype == one.dtype == torch.float32
    torch.testing.assert_close(one[0], torch.nn.functional.normalize(dense[1, :, 0, 0].float(), dim=0))


def test_sampling_refuses_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match="1 keypoints"):
        sample_descriptors(torch.zeros(2, 4, 1, 1), [torch.zeros(0, 2)])
    with pytest.raises(ValueError, match=r"\(3,\)"):
        sample_descriptors(torch.zeros(1, 4, 1, 1), [torch.zeros(3)])
