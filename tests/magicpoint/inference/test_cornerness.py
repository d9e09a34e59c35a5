"""An extractor that weighs heatmaps by cornerness: what is found, in what image, and what is on record."""

import itertools

import cv2
import numpy as np
import pytest
import torch

from magicpoint import DecodeSettings, Extractor, match_features
from magicpoint.decoding.cornerness import weigh
from magicpoint.decoding.decode import decode
from magicpoint.inference import extractor


@pytest.fixture(scope="module")
def photograph():
    grey = cv2.imread("notebooks/images/cameraman.png", cv2.IMREAD_GRAYSCALE)
    return cv2.resize(grey, (237, 181), interpolation=cv2.INTER_AREA)


def opened(settings=None, **options):
    settings = settings or DecodeSettings(max_keypoints=200)
    return Extractor.load("superpoint-tiny", settings, device="cpu", **options)


@pytest.mark.parametrize("averaged", [False, True])
def test_an_extractor_weighs_where_it_is_asked_to(averaged, photograph):
    plain, weighed = opened(averaged=averaged), opened(averaged=averaged, cornerness=True)
    found = weighed.extract(photograph)
    grey = photograph.astype(np.float32) / 255
    heatmap, _ = plain._look(grey)
    expected = weigh(heatmap[:, :181, :237], torch.from_numpy(grey)[None], smoothed=averaged)
    [(keypoints, scores)] = decode(expected, plain.settings)
    assert torch.equal(found.keypoints, keypoints)
    assert torch.equal(found.keypoint_scores, scores)
    torch.testing.assert_close(plain.describe(photograph, keypoints), found.descriptors, atol=1e-6, rtol=0)
    assert weighed.provenance == {**plain.provenance, "cornerness": "5x5"}


def test_nothing_is_found_where_a_mask_wants_nothing(photograph):
    mask = np.ones(photograph.shape, bool)
    mask[:, 100:] = False
    found = opened(cornerness=True).extract(photograph, mask)
    assert len(found) > 20
    assert found.keypoints[:, 0].max() < 100


def test_what_a_mask_hides_changes_nothing(photograph):
    mask = np.ones(photograph.shape, bool)
    mask[:, 120:] = False
    hidden = photograph.copy()
    hidden[:, 190:] = np.random.default_rng(0).integers(0, 256, hidden[:, 190:].shape)
    extract = opened(cornerness=True).extract
    one, other = (extract(image, mask) for image in (photograph, hidden))
    assert len(one) > 20
    torch.testing.assert_close(other.keypoint_scores, one.keypoint_scores, rtol=1e-4, atol=1e-6)


def test_features_with_and_without_are_not_compared_in_silence(photograph, caplog):
    plain, weighed = (opened(cornerness=cornerness).extract(photograph) for cornerness in (False, True))
    match_features(plain, weighed)
    assert "chosen by different settings are compared: cornerness unset and 5x5" in caplog.text


def test_a_large_image_is_weighed_as_a_whole(photograph, monkeypatch):
    whole = opened(cornerness=True).extract(photograph)
    monkeypatch.setattr(extractor, "needs_tiles", lambda grey: grey.size > 30_000)
    tiled = opened(cornerness=True).extract(photograph)
    torch.testing.assert_close(tiled.keypoints, whole.keypoints, atol=1e-2, rtol=0)


def test_several_scales_are_weighed_each(photograph):
    found = opened(cornerness=True, scales=(1.0, 0.5)).extract(photograph)
    assert set(found.keypoint_scales.round().tolist()) == {1.0, 2.0}


@pytest.mark.parametrize("wrong", ["no", 3, None])
def test_what_is_no_switch_is_refused(wrong):
    with pytest.raises(TypeError, match="cornerness must be True or False"):
        opened(cornerness=wrong)


@pytest.mark.parametrize("weights", ["superpoint", "superpoint-small", "superpoint-tiny"])
def test_about_as_many_pass_the_threshold(weights, photograph):
    plain, weighed = (
        len(Extractor.load(weights, device="cpu", cornerness=cornerness).extract(photograph))
        for cornerness in (False, True)
    )
    assert plain > 100
    assert 0.75 < weighed / plain < 1.25


def test_keypoints_of_a_noisy_photograph_come_back_more_often(photograph):
    """Of takes with noise of their own; what does not come back within 3 px counts as 3 px in the mean of distances."""
    rng = np.random.default_rng(0)
    takes = [(photograph + rng.normal(0, 8, photograph.shape)).clip(0, 255).astype(np.uint8) for _ in range(12)]
    shares, distances = [], []
    for cornerness in (False, True):
        found = [opened(cornerness=cornerness).extract(take).keypoints[:70] for take in takes]
        nearest = torch.cat([torch.cdist(*pair).min(1).values for pair in itertools.pairwise(found)])
        shares.append((nearest < 3).float().mean().item())
        distances.append(nearest.clamp(max=3).mean().item())
    assert shares[1] > shares[0] + 0.05
    assert distances[1] < distances[0] - 0.2
