"""A small network that learns descriptors of a few images by the default loss."""

import cv2
import numpy as np
import pytest
import torch

from homography import HomographySettings
from magicpoint.data.batches import ViewBatches
from magicpoint.data.samples import certain_sample
from magicpoint.data.settings import ViewSettings
from magicpoint.decoding.descriptors import sample_descriptors
from magicpoint.model.network import PointNetwork
from magicpoint.model.settings import ModelSettings
from magicpoint.training.correspondences import draw_points, find_correspondences
from magicpoint.training.losses.descriptors import dual_softmax_loss
from magicpoint.training.targets import mask_to_cells


class Textures:
    """Images of blurred noise, 72 x 96, with keypoints on a grid."""

    digest = "textures"

    def sample(self, index):
        noise = np.random.default_rng(index).random((72, 96), np.float32)
        texture = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2.0), None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
        grid = np.stack(np.meshgrid(np.arange(4.0, 96.0, 8.0), np.arange(4.0, 72.0, 8.0)), -1).reshape(-1, 2)
        return certain_sample(texture, grid.astype(np.float32))


@pytest.mark.slow
def test_the_default_loss_overfits_eight_pairs():
    settings = ViewSettings(size_hw=(56, 72), homographic=HomographySettings(rotation=0.5))
    view0, view1, H_0to1, *_ = ViewBatches(Textures(), settings, seed=0, batch_size=8)[0].to(torch.device("cpu"))
    mask0, mask1 = mask_to_cells(view0.valid_mask), mask_to_cells(view1.valid_mask)
    known = find_correspondences(view0.keypoints, H_0to1, mask0, mask1)
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = PointNetwork(ModelSettings(width=0.125, descriptor_dim=64))
    optimizer = torch.optim.AdamW(network.parameters(), 1e-2)
    images = torch.cat((view0.image, view1.image))
    for _ in range(60):
        points = draw_points(view0.keypoints, (56, 72), 128, generator)
        points0, points1 = zip(*find_correspondences(points, H_0to1, mask0, mask1), strict=True)
        loss, similarity = dual_softmax_loss(*network(images).descriptors.chunk(2), points0, points1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert not similarity.collapsed()
    maps = network(images).descriptors.detach().chunk(2)
    right = total = 0
    for image, (points0, points1) in enumerate(known):
        [here] = sample_descriptors(maps[0][image : image + 1], [points0])
        [there] = sample_descriptors(maps[1][image : image + 1], [points1])
        scores = here @ there.T
        forth, back = scores.argmax(1), scores.argmax(0)
        here_again = torch.arange(len(points0))
        right += ((forth == here_again) & (back == here_again)).sum().item()
        total += len(points0)
    assert total > 200
    assert right / total > 0.95
