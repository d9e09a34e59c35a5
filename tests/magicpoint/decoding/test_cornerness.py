"""Cornerness on images whose structure tensor is known on paper, and heatmaps weighed by it."""

import numpy as np
import pytest
import torch

from magicpoint.decoding import cornerness as module
from magicpoint.decoding.cornerness import GAIN, HEATMAP_SIGMA, cornerness, weigh
from magicpoint.decoding.decode import decode
from magicpoint.decoding.smoothing import smooth


def plane(height=24, width=32, centre=(12.0, 10.0)):
    """x and y, (1, H, W), of each pixel from a centre (x, y)."""
    y, x = torch.meshgrid(
        torch.arange(height).double() - centre[1], torch.arange(width).double() - centre[0], indexing="ij"
    )
    return x[None], y[None]


def inner(values):
    """Without the pixels whose window or derivative reaches beyond the border."""
    return values[:, 3:-3, 3:-3]


def test_of_a_saddle_it_is_its_slope_everywhere():
    """Of c x y the gradient is c (y, x), and the window's variance 1 along each axis: the tensor in the window around
    (x, y) is c² (1 + v vᵀ) with v = (y, x), whose lesser eigenvalue is c².
    """
    x, y = plane()
    torch.testing.assert_close(inner(cornerness(0.25 * x * y)), torch.full((1, 18, 26), 0.25).double())


def test_of_a_bowl_it_is_the_lesser_bend_at_the_middle():
    """Of (a x² + b y²) / 2 the gradient is (a x, b y): the tensor at the middle is diag(a², b²)."""
    x, y = plane()
    found = cornerness((0.3 * x**2 + 0.1 * y**2) / 2)
    assert found[0, 10, 12].item() == pytest.approx(0.1)


def test_of_nothing_and_of_an_edge_it_is_nothing():
    x, y = plane()
    for image in (torch.ones_like(x), (x > 0).double(), (y > 0).double(), 0.1 * x + 0.2 * y):
        assert inner(cornerness(image)).abs().max() < 1e-6


def test_beyond_the_border_an_image_goes_on():
    """So the border itself is no edge."""
    assert cornerness(torch.full((2, 9, 11), 0.7)).abs().max() == 0.0
    assert cornerness(torch.rand(1, 1, 1)).shape == (1, 1, 1)


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(0)
    return torch.rand(2, 40, 56, generator=generator) * 0.02, torch.rand(2, 40, 56, generator=generator)


def test_the_sum_of_a_heatmap_stays(pair):
    heatmap, grey = pair
    torch.testing.assert_close(weigh(heatmap, grey, smoothed=True).sum((1, 2)), heatmap.sum((1, 2)))
    torch.testing.assert_close(weigh(heatmap, grey).sum((1, 2)), GAIN * heatmap.sum((1, 2)))


def test_a_pixel_counts_by_its_cornerness(pair):
    heatmap, grey = pair
    for smoothed, before in ((True, heatmap), (False, smooth(heatmap, HEATMAP_SIGMA))):
        ratio = weigh(heatmap, grey, smoothed=smoothed) / (before * cornerness(grey))
        torch.testing.assert_close(ratio, ratio[:, :1, :1].expand_as(ratio), rtol=1e-4, atol=0)


def test_contrast_and_brightness_of_the_whole_image_change_nothing(pair):
    heatmap, grey = pair
    torch.testing.assert_close(weigh(heatmap, 0.1 * grey + 0.3), weigh(heatmap, grey), rtol=1e-3, atol=1e-6)


def test_an_image_without_a_corner_gives_the_heatmap_as_it_is(pair):
    heatmap, grey = pair
    grey = grey.clone()
    grey[0] = 0.5
    weighed = weigh(heatmap, grey)
    assert torch.equal(weighed[0], heatmap[0])
    assert not torch.equal(weighed[1], heatmap[1])


def test_a_heatmap_stays_a_probability_and_its_peaks_keep_their_form():
    heatmap = torch.zeros(1, 32, 32)
    heatmap[0, 10, 9:12] = torch.tensor([0.5, 1.0, 0.8])
    heatmap[0, 20, 22] = 1.0
    grey = torch.zeros(1, 32, 32)
    grey[0, 10:, 10:] = 1.0
    weighed = weigh(heatmap, grey, smoothed=True)
    assert weighed.max() == 1.0, "all of the sum would be more"
    assert weighed[0, 20, 22] == 0.0
    expected = (heatmap * cornerness(grey))[0, 10, 9:12]
    torch.testing.assert_close(weighed[0, 10, 9:12], expected / expected.max())


def test_what_does_not_count_has_no_influence(pair):
    """A mask hides the right half; what stands there, black or bright, changes nothing a few pixels beside it."""
    heatmap, grey = pair
    among = torch.zeros(2, 40, 56, dtype=torch.bool)
    among[:, :, :20] = True
    shown = weigh(heatmap, grey, among)
    torch.testing.assert_close(shown[among].view(2, -1).sum(1), GAIN * heatmap[among].view(2, -1).sum(1))
    hidden = grey.clone()
    hidden[:, :, 23:] *= 20
    torch.testing.assert_close(weigh(heatmap, hidden, among)[among], shown[among])
    assert not torch.allclose(weigh(heatmap, hidden)[among], shown[among], rtol=0.1)


def test_numbers_of_half_the_precision_are_weighed_in_whole(pair):
    heatmap, grey = pair
    weighed = weigh(heatmap.half(), grey)
    assert weighed.dtype == torch.float32
    torch.testing.assert_close(weighed, weigh(heatmap.half().float(), grey))


def test_bands_are_the_whole(pair, monkeypatch):
    heatmap, grey = pair
    whole = weigh(heatmap, grey)
    for pixels in (1, 56 * 7, 56 * 39):
        monkeypatch.setattr(module, "_BAND_PIXELS", pixels)
        torch.testing.assert_close(weigh(heatmap, grey), whole, rtol=1e-5, atol=0)


def test_a_peak_is_drawn_to_the_corner():
    """A heatmap as broad as a network's, 2.2 pixels beside the corner of a checkerboard, between four pixels."""
    x, y = plane(48, 48, (23.5, 23.5))
    grey = ((x > 0) == (y > 0)).float()
    x, y = plane(48, 48, (25.5, 22.5))
    heatmap = 0.2 * torch.exp(-(x**2 + y**2) / (2 * 1.5**2)).float()
    distances = []
    for found in (heatmap, weigh(heatmap, grey)):
        [(keypoints, _)] = decode(found)
        assert len(keypoints) == 1
        distances.append(np.hypot(*(keypoints[0].numpy() - 23.5)))
    assert distances[0] == pytest.approx(5**0.5, abs=1e-3)
    assert distances[1] < 0.85 * distances[0]


@pytest.mark.parametrize("shapes", [((1, 8, 8), (1, 8, 16)), ((8, 8), (8, 8)), ((1, 8, 8), (2, 8, 8))])
def test_shapes_that_do_not_fit_are_refused(shapes):
    with pytest.raises(ValueError, match=r"must both be \(B, H, W\)"):
        weigh(*(torch.rand(*shape) for shape in shapes))
