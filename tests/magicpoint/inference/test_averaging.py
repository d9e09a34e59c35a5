"""The mean of heatmaps at three sizes: where it says a point is, at which sizes it looks, and what is on record."""

import itertools

import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from magicpoint import DecodeSettings, Extractor
from magicpoint.inference import extractor
from magicpoint.inference.averaging import GAIN, Look, mean_descriptors, mean_over_sizes
from magicpoint.inference.pyramid import resize_grey


class Bright:
    """A detector of bright pixels, whose heatmap has padded sides as a network's has; it notes what it saw."""

    def __init__(self):
        self.seen = []

    def __call__(self, grey):
        height, width = grey.shape
        self.seen.append((height, width))
        heatmap = F.pad(torch.from_numpy(grey)[None], (0, -width % 8, 0, -height % 8), value=1.0)
        cells = torch.zeros(1, 2, heatmap.shape[1] // 8, heatmap.shape[2] // 8)
        return heatmap, cells + torch.tensor([1.0, 0.0])[:, None, None]


@pytest.mark.parametrize("size", [(64, 96), (61, 83)])
def test_a_point_stays_where_it_is(size):
    """Half a pixel at 5/7 of the size would be 0.7 pixels of the image, a third of which is left in the mean: 0.23."""
    height, width = size
    x, y = 40.3, 29.6
    rows, columns = np.arange(height)[:, None], np.arange(width)
    grey = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 2.0**2)).astype(np.float32)
    run = Bright()
    heatmap, looks = mean_over_sizes(run, grey)
    # Sides of 64 and 96 are padded to 70 and 98 and become 50 and 70, or to 65 and 100 and become 91 and 140.
    assert run.seen == {(64, 96): [size, (50, 70), (91, 140)], (61, 83): [size, (45, 60), (91, 119)]}[size]
    assert heatmap.shape == (1, height, width)
    assert [look.ratio for look in looks] == [1.0, 5 / 7, 7 / 5]
    padded = [(-(-rows // 8), -(-columns // 8)) for rows, columns in run.seen]
    assert [look.dense.shape[2:] for look in looks] == padded
    mass = heatmap[0, 22:39, 32:49].double()
    centre = (
        mass.sum(0) @ torch.arange(32.0, 49).double() / mass.sum(),
        mass.sum(1) @ torch.arange(22.0, 39).double() / mass.sum(),
    )
    assert centre == (pytest.approx(x, abs=0.03), pytest.approx(y, abs=0.03))


def test_what_is_the_same_at_all_sizes_is_raised_and_stays_a_probability():
    grey = np.full((40, 56), 0.25, np.float32)
    torch.testing.assert_close(mean_over_sizes(Bright(), grey)[0], torch.full((1, 40, 56), 0.25 * GAIN))
    heatmap, looks = mean_over_sizes(lambda image: (torch.ones(1, *image.shape), None), grey)
    assert heatmap.max() <= 1.0
    assert looks == [], "a detector has no descriptors"


def test_descriptors_are_looked_up_where_each_size_shows_the_keypoint_and_averaged():
    """Pixel x of an image is x' of one whose sides are `ratio` times as long, x' + 1/2 = ratio (x + 1/2)."""
    looks = [
        Look(torch.tensor([1.0, 0.0]), 1.0),
        Look(torch.tensor([0.0, 1.0]), 5 / 7),
        Look(torch.tensor([0.0, 1.0]), 2.0),
    ]
    keypoints = torch.tensor([[0.0, 10.0], [3.0, -0.5]])
    seen = []

    def sample(dense, places):
        seen.append(places)
        return dense.expand(len(places), 2)

    found = mean_descriptors(sample, looks, keypoints)
    torch.testing.assert_close(found, torch.tensor([[1.0, 2.0], [1.0, 2.0]]) / 5**0.5)
    assert torch.equal(seen[0], keypoints)
    torch.testing.assert_close(seen[1], torch.tensor([[-1 / 7, 7.0], [2.0, -0.5]]))
    torch.testing.assert_close(seen[2], torch.tensor([[0.5, 20.5], [6.5, -0.5]]))
    one = torch.tensor([[0.6, 0.8]])
    assert torch.equal(mean_descriptors(lambda dense, places: one, looks[:1], keypoints[:1]), one)


def test_sizes_smaller_than_a_cell_are_left_out():
    for size, seen in (((9, 40), [(9, 40), (14, 56)]), ((4, 4), [(4, 4)])):
        run = Bright()
        mean_over_sizes(run, np.zeros(size, np.float32))
        assert run.seen == seen
    alone = np.linspace(0.0, 1.0, 16, dtype=np.float32).reshape(4, 4)
    assert torch.equal(mean_over_sizes(Bright(), alone)[0], torch.from_numpy(alone)[None])


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
    torch.testing.assert_close(averaged.describe(photograph, mean.keypoints), mean.descriptors, atol=1e-6, rtol=0)
    torch.testing.assert_close(mean.descriptors.norm(dim=1), torch.ones(len(mean)))
    cosines = (plain.describe(photograph, mean.keypoints) * mean.descriptors).sum(1)
    assert 0.5 < cosines.min() < cosines.max() < 0.9999
    assert averaged.provenance == {**plain.provenance, "averaged": "5/7, 1/1, 7/5"}


@pytest.mark.parametrize("precision", ["float32", pytest.param("int8", marks=pytest.mark.int8)])
def test_descriptors_are_the_mean_of_what_each_size_says(photograph, precision):
    """Of an image of 245x175 pixels, five and seven times whole numbers, no size needs to be padded to be resized."""
    plain, averaged = opened(precision=precision), opened(precision=precision, averaged=True)
    image = cv2.resize(photograph, (245, 175), interpolation=cv2.INTER_AREA)
    found = averaged.extract(image)
    total = 0
    for ratio, size in ((1, (245, 175)), (5 / 7, (175, 125)), (7 / 5, (343, 245))):
        resized = resize_grey(image.astype(np.float32) / 255, size)
        total = total + plain.describe(resized, (found.keypoints + 0.5) * ratio - 0.5)
    torch.testing.assert_close(found.descriptors, F.normalize(total, dim=1), atol=1e-4, rtol=0)


def distances_to(keypoints, others):
    """Of each keypoint to the nearest of others; without the matrix product, which rounds places of 200 px at 0.06."""
    return torch.cdist(keypoints, others, compute_mode="donot_use_mm_for_euclid_dist").min(1).values


@pytest.mark.parametrize("cut", [1, 3, 10])
def test_what_is_found_far_from_a_cut_does_not_depend_on_it(photograph, cut):
    """A cell sees 38 pixels beyond it (`tiles.RECEPTIVE_MARGIN`), at 5/7 of the size 54 of the image, and its own."""
    averaged = Extractor.load("superpoint-tiny", device="cpu", averaged=True)
    whole, part = (averaged.extract(image) for image in (photograph, photograph[:-cut, :-cut]))
    far = (whole.keypoints < torch.tensor([240 - cut - 68.0, 180 - cut - 68.0])).all(1)
    assert far.sum() > 20
    nearest = distances_to(whole.keypoints[far], part.keypoints)
    assert nearest.max() < 0.05


@pytest.mark.parametrize("wrong", ["no", 3, (0.5, 1.0)])
def test_what_is_no_switch_is_refused(wrong):
    with pytest.raises(TypeError, match="averaged must be True or False"):
        opened(averaged=wrong)


def test_a_large_image_is_averaged_in_tiles(photograph, monkeypatch):
    whole = opened(averaged=True).extract(photograph)
    assert 130 * 175 < 30_000 < 180 * 240, "the smallest size is looked at whole"
    monkeypatch.setattr(extractor, "needs_tiles", lambda grey: grey.size > 30_000)
    tiled = opened(averaged=True).extract(photograph)
    torch.testing.assert_close(tiled.keypoints, whole.keypoints, atol=1e-2, rtol=0)
    torch.testing.assert_close(tiled.descriptors, whole.descriptors, atol=1e-3, rtol=0)


def matched_rightly(extractor, scenes):
    """Of the keypoints of a photograph the share that its nearest neighbour in the same one at 0.6 of its size is."""
    shares = []
    for scene in scenes:
        found = extractor.extract(scene)
        height, width = scene.shape
        small = cv2.resize(scene, (round(0.6 * width), round(0.6 * height)), interpolation=cv2.INTER_AREA)
        other = extractor.extract(small)
        nearest = (found.descriptors @ other.descriptors.T).argmax(1)
        back = (other.keypoints[nearest] + 0.5) / 0.6 - 0.5
        shares.append(((back - found.keypoints).norm(dim=1) < 3).float().mean().item())
    return np.mean(shares)


def test_descriptors_of_a_photograph_change_less_with_its_size(photograph):
    scenes = [photograph, photograph[::-1].copy(), photograph[:, ::-1].copy()]
    assert matched_rightly(opened(averaged=True), scenes) > matched_rightly(opened(), scenes) + 0.05


def test_about_as_many_pass_the_threshold_as_of_one_heatmap(photograph):
    settings = DecodeSettings()
    plain, mean = (
        len(Extractor.load("superpoint-small", settings, device="cpu", averaged=averaged).extract(photograph))
        for averaged in (False, True)
    )
    assert plain > 100
    assert 0.75 < mean / plain < 1.25


def test_keypoints_of_a_noisy_photograph_come_back_more_often(photograph):
    """Of takes with noise of their own; what does not come back within 3 px counts as 3 px in the mean of distances."""
    rng = np.random.default_rng(0)
    takes = [(photograph + rng.normal(0, 12, photograph.shape)).clip(0, 255).astype(np.uint8) for _ in range(12)]
    shares, distances = [], []
    for averaged in (False, True):
        found = [opened(averaged=averaged).extract(take).keypoints[:70] for take in takes]
        assert {len(keypoints) for keypoints in found} == {70}
        nearest = torch.cat([distances_to(*pair) for pair in itertools.pairwise(found)])
        shares.append((nearest < 3).float().mean().item())
        distances.append(nearest.clamp(max=3).mean().item())
    assert shares[1] > shares[0]
    assert distances[1] < distances[0]
