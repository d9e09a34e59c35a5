"""Two views place the same corner: Gaussians at known places."""

import math

import pytest
import torch

from magicpoint.training.losses.exactness import exactness_loss, mass_centres
from magicpoint.training.targets import draw_keypoint_map

SIZE = (40, 48)


def points(*pairs):
    return torch.tensor(pairs, dtype=torch.float32).reshape(-1, 2)


def heatmap(*views):
    return draw_keypoint_map(list(views), SIZE, sigma=0.6)[:, 0]


def shift(x, y):
    H = torch.eye(3)
    H[0, 2], H[1, 2] = x, y
    return H[None]


@pytest.mark.parametrize("place", [(20.0, 11.0), (20.25, 11.0), (19.6, 10.55), (0.0, 39.0)])
def test_the_centre_of_a_gaussian_is_found(place):
    [centre] = mass_centres(heatmap(points(place)), [points(place)])
    expected = points(place)
    if place == (0.0, 39.0):
        # Cut off at the corner of the image: what is left of each axis is 0.66 of the middle and the neighbour's 0.17.
        step = math.exp(-0.5 / 0.36) + 2 * math.exp(-2 / 0.36)
        step /= 1 + math.exp(-0.5 / 0.36) + math.exp(-2 / 0.36)
        expected = points((step, 39.0 - step))
    torch.testing.assert_close(centre, expected, atol=0.01, rtol=0.0)


def test_where_nothing_is_the_centre_is_that_of_the_nearest_pixel():
    [centre] = mass_centres(torch.zeros(1, *SIZE), [points((20.3, 10.8))])
    torch.testing.assert_close(centre, points((20.0, 11.0)))


def test_a_corner_that_moves_as_the_homography_says_costs_nothing():
    here, there = points((20.25, 11.0), (30.0, 20.0)), points((23.75, 10.0), (33.5, 19.0))
    loss = exactness_loss(heatmap(here), heatmap(there), [here], [there], shift(3.5, -1.0))
    assert loss < 1e-4


def test_a_quarter_of_a_pixel_costs_half_its_square_over_the_corners():
    labels = points((20.0, 11.0), (30.0, 20.0))
    seen = points((20.25, 11.0), (30.0, 20.0))
    loss = exactness_loss(heatmap(labels), heatmap(seen), [labels], [labels], shift(0.0, 0.0))
    assert loss == pytest.approx(0.5 * 0.25**2 / 2, rel=0.1)


def test_the_distance_is_taken_in_view_1():
    here, there = points((10.0, 10.0)), points((20.0, 20.0))
    doubled = torch.diag(torch.tensor([2.0, 2.0, 1.0]))[None]
    loss = exactness_loss(heatmap(points((10.25, 10.0))), heatmap(there), [here], [there], doubled)
    assert loss == pytest.approx(0.5 * 0.5**2, rel=0.1)


def test_the_loss_pulls_the_heatmaps_together():
    labels = points((20.0, 11.0))
    first, second = heatmap(points((20.3, 11.0))).requires_grad_(), heatmap(labels).requires_grad_()
    exactness_loss(first, second, [labels], [labels], shift(0.0, 0.0)).backward()
    # View 0 lies too far to the right: more on its left and less on its right would cost less; reversed in view 1.
    assert first.grad[0, 11, 19] < 0 < first.grad[0, 11, 21]
    assert second.grad[0, 11, 19] > 0 > second.grad[0, 11, 21]


def test_without_corners_it_is_zero_and_differentiable():
    first = heatmap(points()).requires_grad_()
    loss = exactness_loss(first, heatmap(points()), [points()], [points()], shift(0.0, 0.0))
    assert loss == 0.0
    loss.backward()
    assert torch.all(first.grad == 0.0)
    with pytest.raises(ValueError, match=r"\[1\], \[0\] points"):
        exactness_loss(first, first, [points((1.0, 1.0))], [points()], shift(0.0, 0.0))
