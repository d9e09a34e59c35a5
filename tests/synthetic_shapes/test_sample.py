"""One seed, one number, one image."""

import hashlib
import multiprocessing

import cv2
import numpy as np
import pytest

from magicpoint.data.photometric import PhotometricSettings, augment_photometric
from synthetic_shapes import STANDARD_SHAPES, ShapeSettings, render_sample
from synthetic_shapes.sample import sample_generator

COUNT = 45
RENDERED_DIGEST = "29202c23626cb0c794f8137708d7765aeabc2658928082d202b6e22c329e8a6b"
AUGMENTED_DIGEST = "060bdd906d43bf42591c02a5cb4771b659484000c38f6f48db4409edd3ea3e31"


def sample_bytes(index):
    """Sample `index` rendered, its keypoints, and its image after augmentation, as bytes."""
    image, keypoints = render_sample(7, index)
    changed = augment_photometric(image, PhotometricSettings(), sample_generator(7, "photometric", index))
    return image.tobytes() + keypoints.tobytes(), changed.tobytes()


def backwards():
    return [sample_bytes(index) for index in reversed(range(COUNT))]


@pytest.fixture(scope="module")
def samples():
    return [sample_bytes(index) for index in range(COUNT)]


def test_another_process_in_another_order_renders_the_same_bytes(samples):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(backwards) == samples[::-1]


@pytest.mark.pinned
def test_the_bytes_are_those_of_the_stored_digest(samples):
    rendered, augmented = (b"".join(parts) for parts in zip(*samples, strict=True))
    assert hashlib.sha256(rendered).hexdigest() == RENDERED_DIGEST
    assert hashlib.sha256(augmented).hexdigest() == AUGMENTED_DIGEST


def test_seed_number_and_stream_all_matter():
    images = [
        render_sample(seed, index, stream=stream)[0].tobytes()
        for seed, index, stream in ((0, 0, "training"), (1, 0, "training"), (0, 9, "training"), (0, 0, "test"))
    ]
    assert len(set(images)) == 4
    # The parts are told apart: 1 and 12 are not 11 and 2.
    draws = {sample_generator(*key).random() for key in ((1, "a", 12), (11, "a", 2), (112, "a", 0), (1, "a2", 1))}
    assert len(draws) == 4


def test_generators_are_uniform_over_the_samples():
    draws = np.array([sample_generator(3, "training", index).random(2) for index in range(4000)])
    assert draws.mean() == pytest.approx(0.5, abs=0.01)
    assert np.corrcoef(draws.T)[0, 1] == pytest.approx(0.0, abs=0.05)
    assert np.corrcoef(draws[1:, 0], draws[:-1, 0])[0, 1] == pytest.approx(0.0, abs=0.05)


def test_negative_and_huge_seeds_are_seeds():
    assert sample_generator(-1, "training", 0).random() != sample_generator(1, "training", 0).random()
    assert 0.0 <= sample_generator(2**80, "training", 2**70).random() < 1.0


def test_shapes_take_turns():
    settings = ShapeSettings(size_hw=(64, 80), shapes=("ellipses", "cube"))
    counts = [len(render_sample(0, index, settings)[1]) for index in range(6)]
    assert counts[0::2] == [0, 0, 0]
    assert min(counts[1::2]) > 0
    image, _ = render_sample(0, 0, settings)
    assert image.shape == (64, 80)
    assert ShapeSettings().shapes == STANDARD_SHAPES


@pytest.mark.parametrize("size", [(47, 100), (100, 20), (100, -1), (100,), (100, 100, 100)])
def test_a_size_without_room_is_refused(size):
    with pytest.raises(ValueError, match="48 to 8192 pixels"):
        ShapeSettings(size_hw=size)


def test_unknown_shapes_are_refused_by_name():
    with pytest.raises(ValueError, match="heptagram"):
        ShapeSettings(shapes=("cube", "heptagram"))
    with pytest.raises(ValueError, match="shapes must be some of"):
        ShapeSettings(shapes=())


def test_nothing_draws_from_the_global_generators():
    np.random.seed(1)  # noqa: NPY002
    cv2.setRNGSeed(1)
    first = render_sample(2, 3)[0]
    np.random.seed(2)  # noqa: NPY002
    cv2.setRNGSeed(2)
    np.testing.assert_array_equal(first, render_sample(2, 3)[0])
