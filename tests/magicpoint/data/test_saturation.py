"""Black and white survive the photometric changes: nothing wraps around at 0 or 255, and no corner is wiped out."""

import numpy as np
import pytest

from magicpoint.data.photometric import PhotometricSettings, augment_photometric

NOTHING = {
    "contrast": 1.0,
    "brightness": 0.0,
    "shade": 0.0,
    "motion_blur": 0.0,
    "gaussian_blur": 0.0,
    "speckle_noise": 0.0,
    "additive_noise": 0.0,
    "jpeg_quality": 95,
}
CHANGES = {
    "contrast": 1.7,
    "brightness": 120.0,
    "shade": 0.5,
    "motion_blur": 9.0,
    "gaussian_blur": 3.0,
    "speckle_noise": 0.4,
    "additive_noise": 40.0,
    "jpeg_quality": 30,
}


def changed(image, seed, **changes):
    settings = PhotometricSettings(probability=1.0, **(NOTHING | changes))
    return augment_photometric(image, settings, np.random.default_rng(seed)).astype(int)


def halves(height=48):
    """Black at the left, white at the right."""
    image = np.zeros((height, 64), np.uint8)
    image[:, 32:] = 255
    return image


@pytest.mark.parametrize("grey", [0, 255])
@pytest.mark.parametrize("change", ["contrast", "shade", "motion_blur", "gaussian_blur", "jpeg_quality"])
def test_what_adds_no_light_leaves_black_and_white_where_they_are(change, grey):
    image = np.full((48, 64), grey, np.uint8)
    for seed in range(20):
        result = changed(image, seed, **{change: CHANGES[change]})
        if change == "shade":
            assert (grey * 0.5 - 1 <= result).all()
            assert (result <= grey + 1).all()
        else:
            np.testing.assert_allclose(result, grey, atol=1)


@pytest.mark.parametrize("grey", [0, 255])
def test_brightness_stops_at_the_ends_of_the_range(grey):
    image = np.full((48, 64), grey, np.uint8)
    results = [changed(image, seed, brightness=120.0) for seed in range(40)]
    for result in results:
        assert np.ptp(result) <= 2  # a flat image stays flat
        assert abs(result - grey).max() <= 121
    means = [result.mean() for result in results]
    # Half of the shifts would leave the range and stop at its end, the others go up to their largest.
    assert 10 <= sum(abs(mean - grey) < 2 for mean in means) <= 30
    assert max(abs(mean - grey) for mean in means) > 90


@pytest.mark.parametrize("change", ["additive_noise", "speckle_noise"])
def test_noise_is_cut_at_the_ends_of_the_range(change):
    for seed in range(20):
        result = changed(halves(), seed, **{change: CHANGES[change]})
        black, white = result[:, :28], result[:, 36:]
        # Six deviations; what wrapped around would lie at the other end.
        most = 6 * (40 if change == "additive_noise" else 0.4 * 255)
        assert black.max() <= (most if change == "additive_noise" else 2)
        assert white.min() >= max(0, 255 - most)
        assert np.median(black) <= 8
        assert np.median(white) >= 247


def test_a_black_and_white_edge_keeps_its_full_range_under_more_contrast_and_light():
    # There is no room to move: the factor is cut to 1 where it would be more, and the shift to 0.
    ranges = []
    for seed in range(40):
        result = changed(halves(), seed, contrast=1.7, brightness=120.0)
        black, white = np.median(result[:, :28]), np.median(result[:, 36:])
        ranges.append(white - black)
        assert np.ptp(result[:, :28]) <= 4
        assert np.ptp(result[:, 36:]) <= 4
    assert 255 / 1.7 - 2 <= min(ranges) < 200
    assert sum(size >= 253 for size in ranges) >= 10


@pytest.mark.parametrize(("low", "high"), [(0, 30), (225, 255), (0, 255)])
def test_no_mixture_of_changes_wipes_out_or_inverts_an_edge(low, high):
    image = (halves(240) // 255 * (high - low) + low).astype(np.uint8)
    # A shadow falls off by more than the step of 30 across the image.
    everything = PhotometricSettings(probability=1.0, shade=0.5 if high - low == 255 else 0.0)
    for seed in range(100):
        result = augment_photometric(image, everything, np.random.default_rng(seed)).astype(float)
        # Means over 1920 pixels, of which noise moves none by more than two greys.
        step = result[:, 38:46].mean() - result[:, 18:26].mean()
        assert step > 0.2 * (high - low)


@pytest.mark.parametrize("dark", [True, False])
def test_a_corner_at_an_end_of_the_range_is_still_a_corner(dark):
    image = np.full((48, 48), 0 if dark else 255, np.uint8)
    image[24:, 24:] = 60 if dark else 195
    for seed in range(40):
        result = changed(image, seed, contrast=1.7, brightness=120.0)
        inner, outer = result[28:, 28:], np.concatenate((result[:20].ravel(), result[24:, :20].ravel()))
        step = (inner.mean() - outer.mean()) * (1 if dark else -1)
        assert step >= 60 / 1.7 - 2
        assert np.ptp(inner) <= 4
        assert np.ptp(outer) <= 4


def test_steps_at_both_ends_of_the_full_range_stay():
    image = np.repeat(np.array([0, 40, 215, 255], np.uint8), 16)[None].repeat(48, 0)
    for seed in range(40):
        result = changed(image, seed, contrast=1.7, brightness=120.0)
        greys = [np.median(result[:, column : column + 8]) for column in (4, 20, 36, 52)]
        assert min(np.diff(greys)) >= 40 / 1.7 - 2
