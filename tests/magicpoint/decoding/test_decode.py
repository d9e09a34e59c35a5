"""From logits to keypoints."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from magicpoint.decoding.decode import decode, logits_to_heatmap
from magicpoint.decoding.nms import non_maximum_suppression
from magicpoint.decoding.settings import DecodeSettings

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")),
]
RAW = DecodeSettings(border=0, subpixel=False)


def gaussians(size, centres, sigma=0.65, height=1.0):
    """A float32 (1, H, W) map of sampled Gaussians, the largest where they overlap."""
    y, x = np.mgrid[: size[1], : size[0]]
    bumps = [np.exp(-((x - u) ** 2 + (y - v) ** 2) / (2 * sigma**2)) for u, v in centres]
    return torch.from_numpy(height * np.max(bumps, axis=0).astype(np.float32))[None]


# --- logits


def test_channel_c_is_the_pixel_at_row_c_div_8_and_column_c_mod_8():
    logits = torch.full((1, 65, 2, 3), -50.0)
    logits[:, 64] = 0.0
    logits[0, 8 * 5 + 2, 1, 2] = 50.0
    heatmap = logits_to_heatmap(logits)
    assert heatmap.shape == (1, 16, 24)
    assert heatmap.dtype == torch.float32
    assert heatmap[0, 8 * 1 + 5, 8 * 2 + 2] == pytest.approx(1.0)
    assert heatmap.sum() == pytest.approx(1.0)


def test_equal_logits_give_each_pixel_and_the_dustbin_one_65th():
    heatmap = logits_to_heatmap(torch.zeros(2, 65, 1, 1, dtype=torch.bfloat16))
    assert heatmap.dtype == torch.float32
    torch.testing.assert_close(heatmap, torch.full((2, 8, 8), 1 / 65))


@pytest.mark.parametrize("shape", [(1, 64, 2, 2), (65, 2, 2)])
def test_logits_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=str(shape[1])):
        logits_to_heatmap(torch.zeros(shape))


# --- sub-pixel


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("sigma", [0.5, 0.65, 1.0, 2.0])
@pytest.mark.parametrize("centre", [(20, 12), (20.3, 11.8), (19.5, 12.49), (20.25, 12.5), (5.1, 18.6)])
def test_centre_and_height_of_a_sampled_gaussian_are_recovered(device, sigma, centre):
    heatmap = gaussians((40, 24), [centre], sigma, height=0.6).to(device)
    # The radius covers the map, so that the slopes of the wide ones give no further keypoints.
    [(keypoints, scores)] = decode(heatmap, DecodeSettings(nms_radius=40))
    np.testing.assert_allclose(keypoints.cpu(), [centre], atol=1e-4)
    np.testing.assert_allclose(scores.cpu(), [0.6], rtol=1e-4)


def test_a_corner_between_four_pixels_scores_like_one_on_a_pixel():
    heatmap = gaussians((40, 24), [(10, 12), (25.5, 12.5)])
    assert heatmap[0, 12, 25] == pytest.approx(math.exp(-0.25 / 0.65**2), abs=1e-6)  # 0.553
    [(keypoints, scores)] = decode(heatmap)
    assert sorted(keypoints.tolist()) == [pytest.approx([10, 12], abs=1e-4), pytest.approx([25.5, 12.5], abs=1e-4)]
    assert scores.tolist() == pytest.approx([1.0, 1.0], rel=1e-4)


def test_threshold_applies_to_the_fitted_height():
    heatmap = gaussians((40, 24), [(20.5, 12.5)], height=0.5)  # largest pixel 0.28
    assert len(decode(heatmap, DecodeSettings(threshold=0.49))[0][0]) == 1
    assert len(decode(heatmap, DecodeSettings(threshold=0.51))[0][0]) == 0
    assert len(decode(heatmap, DecodeSettings(threshold=0.49, subpixel=False))[0][0]) == 0


def test_the_greatest_rise_is_not_lost_to_the_threshold():
    # Two equal pixels along each axis with nothing around them: no fit rises more, by 100 ** (1 / 4) = 3.162.
    heatmap = torch.zeros(1, 20, 20)
    heatmap[0, 10:12, 10:12] = 0.1
    heatmap[0, 11, 11] = 0.0
    [(keypoints, scores)] = decode(heatmap, DecodeSettings(threshold=0.316))
    assert keypoints.tolist() == [pytest.approx([10.5, 10.5])]
    assert scores.tolist() == [pytest.approx(0.1 * 100**0.25)]


def test_a_single_pixel_and_the_middle_of_a_plateau_stay_on_the_pixel():
    heatmap = torch.zeros(1, 30, 30)
    heatmap[0, 10, 10] = 0.5
    heatmap[0, 15:26, 15:26] = 0.25
    [(keypoints, scores)] = decode(heatmap, DecodeSettings(nms_radius=5, border=0))
    assert keypoints[0].tolist() == [10, 10]
    assert scores[0] == 0.5
    [(keypoints, scores)] = decode(torch.full((1, 9, 9), 0.25), DecodeSettings(nms_radius=8, border=0))
    assert keypoints.tolist() == [[0, 0]]
    assert scores.tolist() == [0.25]


def test_two_equal_pixels_meet_in_the_middle():
    heatmap = torch.zeros(1, 20, 20)
    heatmap[0, 10, 10:12] = 0.4
    [(keypoints, _)] = decode(heatmap)
    assert keypoints.tolist() == [pytest.approx([10.5, 10])]


def test_the_shoulder_of_a_suppressed_peak_is_no_keypoint():
    # 0.9 suppresses 0.8 but does not reach 0.7, whose neighbour 0.8 exceeds it; 0.6 beyond is a peak.
    heatmap = torch.tensor([[[0.9, 0.0, 0.0, 0.8, 0.7, 0.0, 0.6, 0.0]]])
    [(keypoints, scores)] = decode(heatmap, DecodeSettings(nms_radius=3, border=0))
    assert keypoints.tolist() == [[0, 0], [6, 0]]
    np.testing.assert_allclose(scores, [0.9, 0.6], rtol=1e-6)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("radius", [1, 4])
def test_a_peak_wider_than_the_suppression_is_one_keypoint_without_a_ring(device, radius):
    heatmap = gaussians((48, 40), [(22.2, 20.4)], sigma=5.0, height=0.9).to(device)
    [(keypoints, scores)] = decode(heatmap, DecodeSettings(nms_radius=radius, border=0))
    np.testing.assert_allclose(keypoints.cpu(), [[22.2, 20.4]], atol=1e-3)
    np.testing.assert_allclose(scores.cpu(), [0.9], rtol=1e-4)


def test_without_suppression_the_slope_of_a_peak_stays_on_its_pixels():
    heatmap = torch.tensor([[[0.0, 0.4, 0.5, 0.0]]])
    [(keypoints, _)] = decode(heatmap, DecodeSettings(nms_radius=0, border=0))
    assert keypoints[1].tolist() == [1, 0]


def test_a_peak_at_the_image_edge_stays_within_the_image():
    heatmap = gaussians((24, 24), [(-0.4, 7.25), (23.4, 16.75)])
    [(keypoints, _)] = decode(heatmap, DecodeSettings(border=0))
    assert sorted(keypoints.tolist()) == [pytest.approx([0, 7.25], abs=1e-4), pytest.approx([23, 16.75], abs=1e-4)]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 2))
def test_no_keypoint_is_more_than_half_a_pixel_from_its_peak(seed, border):
    rng = np.random.default_rng(seed)
    heatmap = torch.from_numpy((rng.integers(0, 6, (2, 9, 11)) / 5).astype(np.float32))
    refined = decode(heatmap, DecodeSettings(nms_radius=1, border=border, threshold=0.0))
    for image, (keypoints, scores) in zip(heatmap, refined, strict=True):
        assert torch.isfinite(keypoints).all()
        assert ((scores > 0) & (scores <= 1)).all()
        assert ((keypoints >= border - 0.5) & (keypoints >= 0)).all()
        assert (keypoints <= torch.tensor([10, 8])).all()
        highest_around = torch.nn.functional.max_pool2d(image[None], 3, stride=1, padding=1)
        summits = image[None].where(image[None] == highest_around, 0)
        peaks = non_maximum_suppression(summits, 1)[0].nonzero()[:, [1, 0]]
        if len(keypoints):
            assert (torch.cdist(keypoints, peaks.float(), p=math.inf).amin(dim=1) <= 0.5 + 1e-6).all()


# --- the whole path


def test_without_subpixel_positions_and_scores_are_those_of_the_pixels():
    heatmap = torch.zeros(1, 16, 16)
    heatmap[0, 5, 9], heatmap[0, 12, 3] = 0.25, 0.75
    [(keypoints, scores)] = decode(heatmap, RAW)
    assert keypoints.dtype == scores.dtype == torch.float32
    assert keypoints.tolist() == [[3, 12], [9, 5]]
    assert scores.tolist() == [0.75, 0.25]


def test_a_score_at_the_threshold_is_dropped():
    heatmap = torch.zeros(1, 16, 16)
    heatmap[0, 5, 9], heatmap[0, 12, 3] = 0.25, 0.5
    [(keypoints, _)] = decode(heatmap, DecodeSettings(border=0, subpixel=False, threshold=0.25))
    assert keypoints.tolist() == [[3, 12]]


def test_border_removes_that_many_pixels_at_each_side():
    heatmap = torch.full((1, 12, 14), 0.5)
    [(keypoints, _)] = decode(heatmap, DecodeSettings(nms_radius=0, border=5, subpixel=False))
    assert keypoints.tolist() == [[x, y] for y in (5, 6) for x in (5, 6, 7, 8)]


def test_a_peak_in_the_border_still_suppresses():
    heatmap = torch.zeros(1, 20, 20)
    heatmap[0, 10, 3], heatmap[0, 10, 5] = 0.9, 0.5
    assert len(decode(heatmap, DecodeSettings(border=4))[0][0]) == 0
    heatmap[0, 10, 3] = 0.0
    assert len(decode(heatmap, DecodeSettings(border=4))[0][0]) == 1


def test_max_keypoints_keeps_the_best_of_each_image_and_the_first_among_equals():
    heatmap = torch.zeros(2, 20, 20)
    heatmap[0, 2, 2], heatmap[0, 2, 10], heatmap[0, 10, 2], heatmap[0, 15, 15] = 0.25, 0.5, 0.5, 0.75
    heatmap[1, 5, 5] = 0.125
    first, second = decode(heatmap, DecodeSettings(border=0, max_keypoints=2, subpixel=False))
    assert first[0].tolist() == [[15, 15], [10, 2]]
    assert second[0].tolist() == [[5, 5]]


def test_an_image_in_a_padded_batch_equals_the_image_alone():
    generator = torch.Generator().manual_seed(0)
    sizes = [(40, 24), (31, 17), (9, 9), (1, 1)]
    batch = torch.rand(len(sizes), 24, 40, generator=generator)
    batch[1, 17:] = math.nan  # whatever the padding holds
    for settings_ in [DecodeSettings(nms_radius=2, border=b) for b in (0, 4)]:
        for b, (result, (w, h)) in enumerate(zip(decode(batch, settings_, sizes), sizes, strict=True)):
            [alone] = decode(batch[b : b + 1, :h, :w], settings_)
            assert torch.equal(result[0], alone[0])
            assert torch.equal(result[1], alone[1])
            if b < 2:
                assert len(alone[0]) > 3


def test_a_mask_is_read_as_the_end_of_the_image():
    heatmap = gaussians((40, 24), [(10.25, 12), (20.5, 12)])
    heatmap[0, :, 20:] = math.nan
    mask = torch.zeros(1, 1, 24, 40, dtype=torch.bool)
    mask[..., :20] = True
    [masked] = decode(heatmap, DecodeSettings(border=0), valid_mask=mask)
    [cropped] = decode(heatmap[:, :, :20], DecodeSettings(border=0))
    assert torch.equal(masked[0], cropped[0])
    assert torch.equal(masked[1], cropped[1])
    assert len(masked[0]) == 2


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 8, 8)])
def test_a_map_without_keypoints_gives_empty_results(shape):
    for keypoints, scores in decode(torch.zeros(shape), DecodeSettings(border=0)):
        assert keypoints.shape == (0, 2)
        assert scores.shape == (0,)
        assert keypoints.dtype == scores.dtype == torch.float32


def test_a_map_of_one_pixel_can_be_a_keypoint():
    [(keypoints, scores)] = decode(torch.full((1, 1, 1), 0.5), DecodeSettings(border=0))
    assert keypoints.tolist() == [[0, 0]]
    assert scores.tolist() == [0.5]
    assert len(decode(torch.full((1, 1, 1), 0.5))[0][0]) == 0


@pytest.mark.parametrize("device", DEVICES)
def test_half_precision_and_gradients_are_accepted(device):
    heatmap = torch.zeros(1, 16, 16, dtype=torch.bfloat16, device=device, requires_grad=True)
    with torch.no_grad():
        heatmap[0, 8, 8] = 0.5
    [(keypoints, scores)] = decode(heatmap)
    assert keypoints.device == scores.device == heatmap.device
    assert keypoints.tolist() == [[8, 8]]
    assert not scores.requires_grad


@pytest.mark.parametrize("value", [math.nan, -0.5, 1.5, math.inf])
def test_values_that_are_no_probabilities_are_refused(value):
    heatmap = torch.zeros(1, 9, 9)
    heatmap[0, 4, 4] = value
    with pytest.raises(ValueError, match="nan" if math.isnan(value) else str(value)):
        decode(heatmap)


def test_arguments_that_do_not_fit_are_refused_by_name():
    heatmap = torch.zeros(2, 8, 8)
    with pytest.raises(ValueError, match=r"\(8, 8\)"):
        decode(heatmap[0])
    with pytest.raises(ValueError, match="int64"):
        decode(heatmap.long())
    with pytest.raises(ValueError, match=r"image_sizes.*\(8, 9\)"):
        decode(heatmap, image_sizes=[(8, 8), (8, 9)])
    with pytest.raises(ValueError, match="image_sizes must be 2 times"):
        decode(heatmap, image_sizes=[(8, 8)])
    with pytest.raises(ValueError, match=r"valid_mask.*float32"):
        decode(heatmap, valid_mask=torch.zeros(2, 1, 8, 8))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("nms_radius", -1),
        ("border", -2),
        ("max_keypoints", 0),
        ("threshold", -0.5),
        ("threshold", 1.0),
        ("threshold", math.nan),
    ],
)
def test_settings_refuse_bad_values_by_name(field, value):
    with pytest.raises(ValueError, match=f"{field}.*{value}"):
        DecodeSettings(**{field: value})
