"""Photometric augmentation changes greys and nothing else."""

import dataclasses
import hashlib
import math

import cv2
import numpy as np
import pytest

from magicpoint.data import photometric
from magicpoint.data.photometric import PhotometricSettings, augment_photometric, motion_kernel
from synthetic_shapes import render_sample

DIGEST = "869497740065eb3845218a3b465efb53686acd95702a9252902b7f70cea9f093"
"""Of augmented squares, see below."""

STRENGTHS = (
    "brightness",
    "shade",
    "motion_blur",
    "gaussian_blur",
    "speckle_noise",
    "additive_noise",
    "salt_and_pepper",
)


def only(**changes):
    """Settings with all strengths at zero but the named ones, always applied, without visible JPEG loss."""
    nothing = dict.fromkeys(STRENGTHS, 0.0) | {"contrast": 1.0, "jpeg_quality": 95, "probability": 1.0}
    return PhotometricSettings(**(nothing | changes))


def square():
    image = np.full((60, 60), 60, np.uint8)
    image[20:40, 20:40] = 190
    return image


def test_the_same_generator_gives_the_same_bytes():
    image, _ = render_sample(0, 5)
    first, again, other = (
        augment_photometric(image, PhotometricSettings(), np.random.default_rng(s)) for s in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert first is not image


def test_the_input_stays_as_it_is():
    image, _ = render_sample(0, 5)
    before = image.copy()
    for seed in range(20):
        augment_photometric(image, PhotometricSettings(probability=1.0), np.random.default_rng(seed))
    np.testing.assert_array_equal(image, before)


def test_probability_zero_changes_nothing():
    image, _ = render_sample(0, 5)
    for seed in range(5):
        changed = augment_photometric(image, PhotometricSettings(probability=0.0), np.random.default_rng(seed))
        np.testing.assert_array_equal(changed, image)


def test_strength_zero_changes_next_to_nothing():
    image = cv2.GaussianBlur(render_sample(0, 5)[0], (9, 9), 3.0)
    changed = augment_photometric(image, only(), np.random.default_rng(0))
    assert np.abs(changed.astype(int) - image).max() <= 6


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 1), (3, 3), (48, 48), (123, 211), (800, 900)])
def test_any_size_keeps_its_shape(size):
    image = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    for seed in range(3 if image.size > 10**5 else 25):
        changed = augment_photometric(image, PhotometricSettings(probability=1.0), np.random.default_rng(seed))
        assert changed.shape == size
        assert changed.dtype == np.uint8


def test_images_that_are_views_are_taken():
    image = render_sample(0, 5)[0]
    for view in (image[::2, ::3], image.T, image[::-1]):
        expected = augment_photometric(view.copy(), PhotometricSettings(), np.random.default_rng(3))
        np.testing.assert_array_equal(
            augment_photometric(view, PhotometricSettings(), np.random.default_rng(3)), expected
        )


def test_wrong_images_are_refused_by_name():
    rng = np.random.default_rng(0)
    with pytest.raises(TypeError, match="float32"):
        augment_photometric(np.zeros((8, 8), np.float32), PhotometricSettings(), rng)
    with pytest.raises(ValueError, match=r"\(8, 8, 3\)"):
        augment_photometric(np.zeros((8, 8, 3), np.uint8), PhotometricSettings(), rng)
    with pytest.raises(ValueError, match=r"\(0, 8\)"):
        augment_photometric(np.zeros((0, 8), np.uint8), PhotometricSettings(), rng)


@pytest.mark.pinned
def test_the_bytes_are_those_of_every_version():
    digest = hashlib.sha256()
    for settings in (PhotometricSettings(), PhotometricSettings(probability=1.0)):
        for seed in range(40):
            rng = np.random.default_rng(seed)
            digest.update(augment_photometric(square(), settings, rng).tobytes())
            digest.update(rng.bytes(8))  # what was drawn is part of it, too
    assert digest.hexdigest() == DIGEST


def test_a_change_that_is_added_leaves_those_who_do_not_want_it_as_they_were(monkeypatch):
    """Also an example of how to add one: a function, a field, a row."""

    @dataclasses.dataclass(frozen=True)
    class Settings(PhotometricSettings):
        stripe: float = 0.0

    def draw_stripe(levels, settings, drawn, rng):
        striped = levels.copy()
        striped[int(rng.random() * len(levels))] = settings.stripe * drawn["stripe"]
        return striped

    seeds = range(20)
    before = [augment_photometric(square(), PhotometricSettings(), np.random.default_rng(seed)) for seed in seeds]
    stripe = photometric.Change(draw_stripe, ("stripe",), if_wanted=True)
    monkeypatch.setattr(photometric, "CHANGES", (*photometric.CHANGES[:-1], stripe, photometric.CHANGES[-1]))
    monkeypatch.setattr(photometric, "_IF_WANTED", ["stripe"])
    for seed, wanted in zip(seeds, before, strict=True):
        np.testing.assert_array_equal(augment_photometric(square(), Settings(), np.random.default_rng(seed)), wanted)
    nothing = dict.fromkeys(STRENGTHS, 0.0) | {"contrast": 1.0, "jpeg_quality": 95}
    blank = np.full((20, 30), 200, np.uint8)
    striped = [
        augment_photometric(blank, Settings(0.5, **nothing, stripe=9.0), np.random.default_rng(seed)) for seed in seeds
    ]
    rows = [np.flatnonzero((image < 100).all(1)) for image in striped]
    assert {len(found) for found in rows} == {0, 1}  # a chance of a half
    assert len({found[0] for found in rows if len(found)}) > 3


@pytest.mark.parametrize("length", [0.3, 1.0, 1.25, 2.0, 3.0, 4.75, 9.0])
def test_a_motion_kernel_keeps_the_place_and_the_light(length):
    for angle in np.linspace(0.0, math.pi, 33):
        kernel = motion_kernel(length, float(angle)).astype(np.float64)
        side = len(kernel)
        assert kernel.shape == (side, side)
        assert side % 2 == 1
        assert kernel.min() >= 0.0
        assert kernel.sum() == pytest.approx(1.0)
        offsets = np.arange(side) - side // 2
        assert (kernel.sum(0) * offsets).sum() == pytest.approx(0.0, abs=1e-6)
        assert (kernel.sum(1) * offsets).sum() == pytest.approx(0.0, abs=1e-6)


def test_motion_kernels_are_strokes():
    # Five points from -1 to 1, of which those at -0.5 and 0.5 are shared between two pixels.
    np.testing.assert_allclose(motion_kernel(3.0, 0.0), [[0, 0, 0], [0.3, 0.4, 0.3], [0, 0, 0]], atol=1e-6)
    np.testing.assert_allclose(motion_kernel(5.0, 0.3), motion_kernel(5.0, 0.3)[::-1, ::-1], atol=1e-6)
    np.testing.assert_allclose(motion_kernel(5.0, math.pi / 2), motion_kernel(5.0, 0.0).T, atol=1e-6)
    with pytest.raises(ValueError, match="read-only"):
        motion_kernel(3.0, 0.0)[0, 0] = 1.0


@pytest.mark.parametrize("change", [{"motion_blur": 5.0}, {"gaussian_blur": 1.2}])
def test_blurs_do_not_move_a_square(change):
    image = square()
    rows, columns = np.mgrid[:60, :60]
    for seed in range(30):
        cover = augment_photometric(image, only(**change), np.random.default_rng(seed)).astype(np.float64) - 60
        assert (cover * columns).sum() / cover.sum() == pytest.approx(29.5, abs=0.03)
        assert (cover * rows).sum() / cover.sum() == pytest.approx(29.5, abs=0.03)


def test_light_does_not_wipe_out_contrast():
    rng = np.random.default_rng(0)
    for low, high in ((0, 40), (200, 255), (0, 255), (100, 140)):
        image = np.full((20, 20), low, np.uint8)
        image[:, 10:] = high
        for _ in range(50):
            changed = augment_photometric(image, only(contrast=1.7, brightness=120.0), rng).astype(int)
            least = (high - low) / 1.7 - 4
            assert changed[:, 15].mean() - changed[:, 5].mean() >= least


def test_shade_darkens_smoothly():
    image = np.full((40, 60), 200, np.uint8)
    for seed in range(20):
        changed = augment_photometric(image, only(shade=0.5), np.random.default_rng(seed)).astype(int)
        assert 98 <= changed.min() <= changed.max() <= 203
        assert np.abs(np.diff(changed, axis=0)).max() <= 12
        assert np.abs(np.diff(changed, axis=1)).max() <= 12


@pytest.mark.parametrize(
    ("change", "grey", "most"), [({"additive_noise": 20.0}, 128, 20), ({"speckle_noise": 0.2}, 100, 20)]
)
def test_noise_has_no_bias_and_the_strength_that_was_asked_for(change, grey, most):
    image = np.full((100, 100), grey, np.uint8)
    deviations = []
    for seed in range(40):
        changed = augment_photometric(image, only(**change), np.random.default_rng(seed)).astype(np.float64)
        assert changed.mean() == pytest.approx(grey, abs=1.0)
        deviations.append(changed.std())
    assert max(deviations) <= most + 1
    assert np.mean(deviations) == pytest.approx(most / 2, rel=0.35)


def test_jpeg_leaves_its_blocks():
    rng = np.random.default_rng(0)
    image = cv2.GaussianBlur(rng.integers(0, 256, (64, 64), dtype=np.uint8), (5, 5), 1.0)
    changed = augment_photometric(image, only(jpeg_quality=1), rng)
    assert np.abs(changed.astype(int) - image).max() > 3


def test_the_lowest_contrast_is_asked_for_by_itself():
    image = np.full((20, 20), 28, np.uint8)
    image[:, 10:] = 228
    ranges = []
    for seed in range(60):
        changed = augment_photometric(image, only(contrast=1.0, lowest_contrast=0.3), np.random.default_rng(seed))
        ranges.append(int(changed[:, 15].max()) - int(changed[:, 5].min()))
    # From 0.3 to 1 times the range of 200, and half of them, in the logarithm, below 0.55 times; JPEG moves a little.
    assert 58 <= min(ranges) <= 75
    assert 185 <= max(ranges) <= 203
    assert np.median(ranges) == pytest.approx(200 * math.sqrt(0.3), rel=0.2)


def test_salt_and_pepper_turn_a_share_of_the_pixels_white_and_black():
    image = np.full((100, 100), 128, np.uint8)
    shares = []
    for seed in range(40):
        changed = augment_photometric(image, only(salt_and_pepper=0.2), np.random.default_rng(seed))
        # JPEG smears a little: what is nearer to an end than to the grey was turned.
        white, black = (changed > 192).mean(), (changed < 64).mean()
        assert white == pytest.approx(black, abs=0.02)
        shares.append(white + black)
    assert max(shares) <= 0.2
    assert np.mean(shares) == pytest.approx(0.1, rel=0.3)
