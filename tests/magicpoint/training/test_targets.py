"""Targets and masks, on cases that can be checked on paper."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from magicpoint.core.grid import DUSTBIN
from magicpoint.training.targets import draw_keypoint_map, labels2Dto3D, labels3Dto2D, mask_to_cells


def points(*pairs):
    return torch.tensor(pairs, dtype=torch.float32).reshape(-1, 2)


def test_a_keypoint_goes_to_the_channel_of_its_place_in_its_cell():
    # x = 11 is column 3 of the second cell; y = 5 is row 5 of the first.
    target = labels2Dto3D(draw_keypoint_map([points((11, 5))], (16, 24)))
    assert target.shape == (1, 65, 2, 3)
    assert target[0, 5 * 8 + 3, 0, 1] == 1
    assert target[0, DUSTBIN, 0, 1] == 0
    assert target[0, DUSTBIN].sum() == 5
    assert target.sum() == 6


def test_two_keypoints_share_their_cell():
    target = labels2Dto3D(draw_keypoint_map([points((0, 0), (7, 7))], (8, 8)))
    assert target[0, 0, 0, 0] == 0.5
    assert target[0, 63, 0, 0] == 0.5
    assert target[0, DUSTBIN, 0, 0] == 0


def test_positions_are_rounded_to_the_nearest_pixel_and_those_outside_dropped():
    drawn = draw_keypoint_map([points((2.4, 0.6), (-0.6, 3), (7.6, 3), (3, 7.51), (-0.4, 7.4))], (8, 8))
    assert drawn.nonzero().tolist() == [[0, 0, 1, 2], [0, 0, 7, 0]]


def test_images_of_a_batch_keep_their_own_keypoints():
    drawn = draw_keypoint_map([points((1, 2)), points(), points((3, 4), (5, 6))], (8, 16))
    assert drawn.flatten(1).sum(1).tolist() == [1, 0, 2]
    assert drawn[2, 0, 6, 5] == 1


@pytest.mark.parametrize("sigma", [0.5, 0.6, 1.0])
def test_a_soft_label_has_mass_one_and_its_centroid_at_the_keypoint(sigma):
    x, y = 20.3, 13.8
    drawn = draw_keypoint_map([points((x, y))], (32, 40), sigma)[0, 0].double()
    rows, columns = torch.meshgrid(torch.arange(32.0), torch.arange(40.0), indexing="ij")
    assert drawn.sum() == pytest.approx(1, abs=0.01)
    assert (drawn * columns).sum() / drawn.sum() == pytest.approx(x, abs=0.03)
    assert (drawn * rows).sum() / drawn.sum() == pytest.approx(y, abs=0.03)


def test_a_soft_label_between_cells_leaves_each_the_rest_to_its_dustbin():
    target = labels2Dto3D(draw_keypoint_map([points((7.5, 3))], (8, 16), 0.6))
    assert target[0, DUSTBIN, 0].tolist() == pytest.approx([0.5, 0.5], abs=0.01)


@given(st.lists(st.tuples(st.floats(-5, 40), st.floats(-5, 30)), max_size=30), st.sampled_from([0.0, 0.7]))
def test_every_cell_is_a_distribution(pairs, sigma):
    target = labels2Dto3D(draw_keypoint_map([points(*pairs)], (24, 32), sigma))
    assert (target >= 0).all()
    torch.testing.assert_close(target.sum(1), torch.ones(1, 3, 4))


def test_the_inverse_gives_the_map_back():
    drawn = draw_keypoint_map([points((3, 9), (20, 1)), points()], (16, 24))
    torch.testing.assert_close(labels3Dto2D(labels2Dto3D(drawn)), drawn)
    torch.testing.assert_close(labels3Dto2D(labels2Dto3D(drawn, add_dustbin=False)), drawn)
    torch.testing.assert_close(labels2Dto3D(drawn[:, 0]), labels2Dto3D(drawn))


def test_other_cell_sizes():
    target = labels2Dto3D(draw_keypoint_map([points((5, 2))], (8, 8)), cell_size=4)
    assert target.shape == (1, 17, 2, 2)
    assert target[0, 2 * 4 + 1, 0, 1] == 1


def test_sizes_that_are_no_multiples_of_the_cell_are_refused_by_name():
    with pytest.raises(ValueError, match="multiples of 8, got 12x16"):
        labels2Dto3D(torch.zeros(1, 1, 12, 16))
    with pytest.raises(ValueError, match="multiples of 8, got 16x20"):
        mask_to_cells(torch.ones(1, 1, 16, 20, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"\(2, 3, 8, 8\)"):
        labels2Dto3D(torch.zeros(2, 3, 8, 8))
    with pytest.raises(ValueError, match=r"\(1, 66, 1, 1\)"):
        labels3Dto2D(torch.zeros(1, 66, 1, 1))


def test_a_cell_is_valid_where_all_its_64_pixels_are():
    mask = torch.ones(1, 1, 16, 16, dtype=torch.bool)
    mask[0, 0, 15, 8] = False
    assert mask_to_cells(mask).tolist() == [[[True, True], [True, False]]]
    product = labels2Dto3D(mask.float(), add_dustbin=False).prod(1).bool()
    assert torch.equal(mask_to_cells(mask), product)


@pytest.mark.parametrize("sigma", [0.0, 0.6])
def test_certainties_scale_what_is_drawn(sigma):
    keypoints = [points((11, 5), (20, 13)), points((3, 2))]
    whole = draw_keypoint_map(keypoints, (16, 24), sigma)
    drawn = draw_keypoint_map(keypoints, (16, 24), sigma, [torch.tensor([0.25, 1.0]), torch.tensor([0.0])])
    torch.testing.assert_close(drawn[0, 0, :9], 0.25 * whole[0, 0, :9])
    torch.testing.assert_close(drawn[0, 0, 9:], whole[0, 0, 9:])
    assert (drawn[1] == 0).all()


def test_the_more_certain_of_two_keypoints_on_a_pixel_counts():
    drawn = draw_keypoint_map([points((3, 2), (3, 2))], (8, 8), 0.0, [torch.tensor([0.5, 0.25])])
    assert drawn.sum() == 0.5
