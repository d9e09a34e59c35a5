"""Training batches: the same for any worker, process and starting point."""

import numpy as np
import pytest
import torch

from magicpoint.data.augment import augment
from magicpoint.data.batches import ImageBatches
from magicpoint.data.loading import prepared_batches
from magicpoint.data.photometric import PhotometricSettings
from magicpoint.data.samples import certain_sample
from magicpoint.data.settings import AugmentationSettings
from magicpoint.data.sources import RenderedSource, StoredSource
from synthetic_shapes import Sample, ShapeSettings

SIZE = (56, 64)
UNCHANGED = PhotometricSettings(probability=0.0)


def batches(**changes):
    arguments = {"seed": 5, "batch_size": 4, **changes}
    return ImageBatches(RenderedSource(5, ShapeSettings(size_hw=SIZE)), AugmentationSettings(0.5), **arguments)


def assert_same(first, second):
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a, b)


def test_a_batch_depends_on_seed_and_step_alone():
    assert_same(batches()[3], batches()[3])
    assert not torch.equal(batches()[3].image, batches()[4].image)
    assert not torch.equal(batches()[3].image, batches(seed=6)[3].image)


@pytest.mark.slow
def test_workers_and_start_do_not_matter():
    expected = [batches()[step] for step in range(2, 5)]
    for workers in (0, 2):
        with prepared_batches(batches(), 2, 5, workers) as items:
            for got, wanted in zip(items, expected, strict=True):
                assert_same(got, wanted)


def test_processes_share_the_batch_of_one():
    whole = batches()[7]
    parts = [batches(rank=rank, world_size=2)[7] for rank in (0, 1)]
    assert_same(whole, [torch.cat(pair) for pair in zip(*parts, strict=True)])
    with pytest.raises(ValueError, match="not a multiple of its 3 shares"):
        batches(world_size=3)


def test_a_batch_is_unpacked_image_by_image():
    collated = batches()[0]
    batch = collated.to(torch.device("cpu"))
    assert batch.image.shape == (4, 1, *SIZE)
    assert batch.image.dtype == torch.float32
    assert batch.image.max() <= 1
    assert [len(k) for k in batch.keypoints] == collated.counts.tolist()
    assert [len(c) for c in batch.certainties] == collated.counts.tolist()
    assert all((c == 1).all() for c in batch.certainties)  # rendered labels are exact
    assert batch.valid_mask.dtype == torch.bool


def test_a_warped_image_keeps_its_labels_on_the_corners():
    image = np.zeros((120, 160), np.uint8)
    image[40:80, 60:100] = 200
    corners = np.array([(59.5, 39.5), (99.5, 39.5), (99.5, 79.5), (59.5, 79.5)], np.float32)
    settings = AugmentationSettings(1.0, photometric=UNCHANGED)
    seen = 0
    for number in range(20):
        warped, keypoints, _, mask = augment(certain_sample(image, corners), settings, np.random.default_rng(number))
        assert mask.shape == image.shape
        seen += len(keypoints)
        for x, y in keypoints:
            patch = warped[max(0, round(y) - 2) : round(y) + 3, max(0, round(x) - 2) : round(x) + 3]
            assert patch.min() < 60
            assert patch.max() > 140
    # The square is in the middle, so that nearly all of its 80 corners stay in the view.
    assert seen >= 70


def test_labels_outside_the_mask_are_dropped():
    image = np.full((64, 64), 100, np.uint8)
    grid = np.stack(np.meshgrid(np.arange(64.0), np.arange(64.0)), -1).reshape(-1, 2).astype(np.float32)
    settings = AugmentationSettings(1.0, photometric=UNCHANGED)
    invalid = 0
    for number in range(10):
        _, keypoints, _, mask = augment(certain_sample(image, grid), settings, np.random.default_rng(number))
        assert mask[np.rint(keypoints[:, 1]).astype(int), np.rint(keypoints[:, 0]).astype(int)].all()
        # A keypoint on every pixel of the image: the view, which shows them larger, keeps what it shows of them.
        assert 0.4 * len(grid) < len(keypoints) < len(grid)
        invalid += np.count_nonzero(~mask)
    assert invalid > 500


class Stored:
    digest = "d"

    def __len__(self):
        return 5

    def __getitem__(self, index):
        return Sample(np.full((8, 8), index, np.uint8), np.zeros((0, 2), np.float32))


def test_a_stored_dataset_comes_whole_in_each_epoch_and_in_a_new_order():
    source = StoredSource(Stored(), seed=1)
    order = [int(source.sample(index).image[0, 0]) for index in range(15)]
    assert [sorted(order[k : k + 5]) for k in (0, 5, 10)] == [[0, 1, 2, 3, 4]] * 3
    assert order[:5] != order[5:10] or order[5:10] != order[10:]
    assert int(StoredSource(Stored(), seed=1).sample(12).image[0, 0]) == order[12]
