"""Places in two views: which are seen in both, and how they are chosen."""

import pytest
import torch

from magicpoint.core.grid import cell_centres
from magicpoint.training.correspondences import draw_points, find_correspondences

IDENTITY = torch.eye(3, dtype=torch.float64)[None]
SHIFT = torch.tensor([[[1.0, 0.0, 8.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]], dtype=torch.float64)


def test_the_centres_of_the_cells_in_raster_order():
    assert cell_centres(2, 3).tolist() == [
        [3.5, 3.5],
        [11.5, 3.5],
        [19.5, 3.5],
        [3.5, 11.5],
        [11.5, 11.5],
        [19.5, 11.5],
    ]


def test_correspondences_of_a_shift():
    mask = torch.ones(1, 2, 3, dtype=torch.bool)
    points = torch.tensor([[0.0, 0.0], [15.0, 15.0], [15.5, 3.0], [-1.0, 3.0]])
    [(here, there)] = find_correspondences([points], SHIFT, mask, mask)
    # The third would come to lie at 23.5, beyond the last pixel's centre; the fourth is not in view 0.
    assert here.tolist() == [[0.0, 0.0], [15.0, 15.0]]
    assert there.tolist() == [[8.0, 0.0], [23.0, 15.0]]
    [(here, there)] = find_correspondences([torch.zeros(0, 2)], IDENTITY, mask, mask)
    assert here.shape == there.shape == (0, 2)


def test_a_point_with_a_share_of_an_invalid_cell_does_not_count():
    valid, holed = torch.ones(1, 1, 3, dtype=torch.bool), torch.tensor([[[True, True, False]]])
    points = torch.tensor([[3.5, 4.0], [11.5, 4.0], [11.6, 4.0], [22.0, 4.0]])
    for masks in ((valid, holed), (holed, valid)):
        [(here, _)] = find_correspondences([points], IDENTITY, *masks)
        assert here.tolist() == points[:2].tolist()


def test_behind_the_horizon_there_is_no_correspondence():
    H_0to1 = torch.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [-0.1, 0.0, 1.0]]])
    mask = torch.ones(1, 4, 4, dtype=torch.bool)
    [(here, there)] = find_correspondences([torch.tensor([[1.0, 1.0], [20.0, 20.0]])], H_0to1, mask, mask)
    assert here.tolist() == [[1.0, 1.0]]
    torch.testing.assert_close(there, torch.tensor([[1 / 0.9, 1 / 0.9]]))


def test_drawn_points_are_keypoints_and_random_places():
    keypoints = [torch.arange(40.0).view(20, 2), torch.zeros(0, 2), torch.tensor([[1.0, 2.0]])]
    drawn = draw_points(keypoints, (48, 64), 12, torch.Generator().manual_seed(0))
    assert [len(d) for d in drawn] == [12, 12, 12]
    for points, count, known in zip(drawn, (6, 0, 1), keypoints, strict=True):
        assert sum(p in known.tolist() for p in points.tolist()) == count
        assert (points[count:] >= 0).all()
        assert (points[count:] <= torch.tensor([63.0, 47.0])).all()
    again = draw_points(keypoints, (48, 64), 12, torch.Generator().manual_seed(0))
    assert all(torch.equal(a, b) for a, b in zip(drawn, again, strict=True))


def test_the_number_of_images_must_agree():
    mask = torch.ones(1, 2, 3, dtype=torch.bool)
    with pytest.raises(ValueError, match=r"\(2, 1, 1, 1\)"):
        find_correspondences([torch.zeros(0, 2)] * 2, IDENTITY, mask, mask)
