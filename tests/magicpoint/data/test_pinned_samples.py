"""What training and evaluation see is the same bytes as ever: images, keypoints, masks and homographies, pinned."""

import hashlib

import cv2
import numpy as np
import pytest
import torch

from magicpoint.data.batches import ImageBatches, ViewBatches
from magicpoint.data.pinned_images import PINNED_DIGESTS, TEST, SampleDigest, render_digests
from magicpoint.data.samples import TrainingSample
from magicpoint.data.settings import AugmentationSettings, ViewSettings
from magicpoint.data.sources import RenderedSource
from synthetic_shapes import SHAPES_WITH_KEYPOINTS, STANDARD_SHAPES, ShapeSettings

CPU = torch.device("cpu")
FIRST_20 = {
    "clean": "28795e0257a9fbdf0e1d98ac91dae7fcc461da5832f23c611624a37e33fcbf62",
    "noise": "2393488e441d2d1cee91a904329d95cbc62aca0291f1a6f885b6bf1f85272493",
    "heavy": "e2bb18fc2824980cf19534725deeea80a907f6400a9b4781d212eded0f27248e",
}
"""As `PINNED_DIGESTS`, of the first 20 images of each shape."""
AUGMENTED = "54f3f49004fd5b56746ec005b9928bbf7807f743c5baa9dfea9626b327523610"
VIEWS = "86ed6df59e344b4251e9c0e0598b12be5f5c681c488d9e395342f21cd776b69c"


def digest(*tensors):
    """SHA-256 over types, shapes and bytes. Numbers of 64 bits, whose last bits are the processor's, count in 32."""
    found = hashlib.sha256()
    for tensor in tensors:
        array = tensor.numpy()
        array = array.astype(np.float32) if array.dtype == np.float64 else array
        found.update(f"{array.dtype.str} {array.shape} ".encode() + array.tobytes())
    return found.hexdigest()


class Photographs:
    """Smooth noise of three sizes with keypoints of every certainty all over; a corner of each third is invalid."""

    digest = "photographs"

    def sample(self, index):
        rng = np.random.default_rng(index)
        height, width = ((90, 120), (150, 101), (240, 320))[index % 3]
        image = cv2.GaussianBlur(rng.integers(0, 256, (height, width), np.uint8), (7, 7), 1.5)
        points = (rng.random((80, 3)) * (width - 1, height - 1, 1)).astype(np.float32)
        mask = np.ones((height, width), np.bool_)
        mask[: height // 3, : width // 3] = index % 3 != 0
        return TrainingSample(image, points[:, :2], points[:, 2], mask)


def augmented():
    """Each shape twice, warped in half of the cases."""
    settings = AugmentationSettings(homographic_probability=0.5)
    source = RenderedSource(3, ShapeSettings(size_hw=(56, 64)))
    batches = ImageBatches(source, settings, seed=3, batch_size=2 * len(STANDARD_SHAPES))
    return batches[0].to(CPU)


def views():
    return ViewBatches(Photographs(), ViewSettings(size_hw=(56, 64)), seed=3, batch_size=12)[0].to(CPU)


@pytest.mark.pinned
def test_the_first_images_of_the_test_set():
    assert render_digests(20) == FIRST_20


@pytest.mark.pinned
@pytest.mark.slow
def test_the_whole_test_set():
    if torch.backends.cpu.get_cpu_capability() != "AVX512":
        pytest.skip("pinned on processors with AVX-512; without it some of the 21,000 images have other bytes")
    assert render_digests() == PINNED_DIGESTS


@pytest.mark.pinned
def test_training_samples_of_rendered_shapes():
    batch = augmented()
    assert not batch.valid_mask.all()
    assert sum(map(len, batch.keypoints)) > 50
    assert digest(batch.image, *batch.keypoints, batch.valid_mask) == AUGMENTED


@pytest.mark.pinned
def test_pairs_of_views_of_photographs():
    view0, view1, H_0to1, *_ = views()
    assert sum(map(len, view1.keypoints)) > 100
    keypoints = [*view0.keypoints, *view1.keypoints, *view0.certainties, *view1.certainties]
    masks = [view0.valid_mask, view1.valid_mask]
    assert digest(view0.image, view1.image, *keypoints, *masks, H_0to1) == VIEWS


def test_images_keypoints_and_their_number_are_all_in_a_digest_of_samples():
    image, keypoints = TEST.clean(SHAPES_WITH_KEYPOINTS[0], 0)
    other, moved = image.copy(), keypoints.copy()
    other[0, 0] ^= 1
    moved[-1, 1] += 1e-4
    digests = set()
    for sample in ((image, keypoints), (other, keypoints), (image, moved), (image, keypoints[:-1])):
        found = SampleDigest()
        found.add([sample])
        digests.add(found.hexdigest())
    assert len(digests) == 4
