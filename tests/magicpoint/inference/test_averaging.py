"""The mean of heatmaps at three sizes: where it says a point is, at which sizes it looks, and what is on record."""

import json

import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from magicpoint import DecodeSettings, Extractor
from magicpoint.inference import averaging, extractor
from magicpoint.inference.averaging import AVERAGED, GAIN, mean_over_sizes
from magicpoint.training.losses.exactness import mass_centres


class Bright:
    """A detector of bright pixels, whose heatmap has padded sides as a network's has; it notes what it saw."""

    def __init__(self):
        self.seen = []

    def __call__(self, grey):
        height, width = grey.shape
        self.seen.append((height, width))
        heatmap = F.pad(torch.from_numpy(grey)[None], (0, -width % 8, 0, -height % 8), value=1.0)
        return heatmap, torch.full((1, 4), float(width))


@pytest.mark.parametrize("size", [(64, 96), (61, 83)])
def test_a_point_stays_where_it_is(size):
    """Half a pixel at 0.71 of the size would be 0.7 pixels of the image, a third of which is left in the mean: 0.23."""
    height, width = size
    x, y = 40.3, 29.6
    rows, columns = np.arange(height)[:, None], np.arange(width)
    grey = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 2.0**2)).astype(np.float32)
    run = Bright()
    heatmap, dense = mean_over_sizes(run, grey)
    assert run.seen == [(round(height * scale), round(width * scale)) for scale in AVERAGED]
    assert heatmap.shape == (1, height, width)
    assert (dense == width).all(), "the descriptors are those of the image as it is"
    [[centre]] = mass_centres(heatmap, [torch.tensor([[x, y]])], radius=8)
    # The sizes are whole: 61 x 0.71 is 43, so that a side is shrunk by 0.705.
    torch.testing.assert_close(centre, torch.tensor([x, y]), atol=0.03, rtol=0)


def test_what_is_the_same_at_all_sizes_is_raised_and_stays_a_probability():
    grey = np.full((40, 56), 0.25, np.float32)
    torch.testing.assert_close(mean_over_sizes(Bright(), grey)[0], torch.full((1, 40, 56), 0.25 * GAIN))
    heatmap, _ = mean_over_sizes(lambda image: (torch.ones(1, *image.shape), None), grey)
    assert heatmap.max() <= 1.0


def test_sizes_smaller_than_a_cell_are_left_out():
    for size, seen in (((9, 40), [(9, 40), (13, 56)]), ((4, 4), [(4, 4)])):
        run = Bright()
        mean_over_sizes(run, np.zeros(size, np.float32))
        assert run.seen == seen


@pytest.fixture(scope="module")
def photograph():
    grey = cv2.imread("notebooks/images/cameraman.png", cv2.IMREAD_GRAYSCALE)
    return cv2.resize(grey, (240, 180), interpolation=cv2.INTER_AREA)


def opened(**options):
    return Extractor.load("superpoint-tiny", DecodeSettings(max_keypoints=200), device="cpu", **options)


def test_an_extractor_averages_where_it_is_asked_to(photograph):
    plain, averaged = opened(), opened(averaged=True)
    found, mean = plain.extract(photograph), averaged.extract(photograph)
    assert not torch.equal(found.keypoints, mean.keypoints)
    assert mean.descriptors.shape == (len(mean), 256)
    again = plain.describe(photograph, mean.keypoints)
    torch.testing.assert_close(mean.descriptors, again, atol=1e-6, rtol=0)
    assert averaged.provenance == {**plain.provenance, "averaged": json.dumps(AVERAGED)}


@pytest.mark.parametrize("wrong", ["no", 3, (0.5, 1.0)])
def test_what_is_no_switch_is_refused(wrong):
    with pytest.raises(TypeError, match="averaged must be True or False"):
        opened(averaged=wrong)


def test_a_large_image_is_averaged_in_tiles(photograph, monkeypatch):
    whole = opened(averaged=True).extract(photograph)
    sizes = [round(180 * scale) * round(240 * scale) for scale in averaging.AVERAGED]
    assert [size > 30_000 for size in sizes] == [False, True, True]
    monkeypatch.setattr(extractor, "needs_tiles", lambda grey: grey.size > 30_000)
    tiled = opened(averaged=True).extract(photograph)
    torch.testing.assert_close(tiled.keypoints, whole.keypoints, atol=1e-2, rtol=0)
    torch.testing.assert_close(tiled.descriptors, whole.descriptors, atol=1e-3, rtol=0)


def test_about_as_many_pass_the_threshold_as_of_one_heatmap(photograph):
    settings = DecodeSettings()
    plain, mean = (
        len(Extractor.load("superpoint-small", settings, device="cpu", averaged=averaged).extract(photograph))
        for averaged in (False, True)
    )
    assert plain > 100
    assert 0.75 < mean / plain < 1.25


def test_keypoints_of_a_noisy_photograph_come_back_nearer(photograph):
    """Two takes of a photograph with noise of their own: the mean finds more of the same places, and nearer."""
    rng = np.random.default_rng(0)
    takes = [(photograph + rng.normal(0, 12, photograph.shape)).clip(0, 255).astype(np.uint8) for _ in range(2)]
    shares, errors = [], []
    for averaged in (False, True):
        first, second = (opened(averaged=averaged).extract(take).keypoints[:70] for take in takes)
        assert len(first) == len(second) == 70
        distances = torch.cdist(first, second).min(1).values
        shares.append((distances < 3).float().mean().item())
        errors.append(distances[distances < 3].mean().item())
    assert shares[1] > shares[0]
    assert errors[1] < errors[0]
