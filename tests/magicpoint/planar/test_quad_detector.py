"""The detector behind one call: any size, any image, the same as the network."""

import dataclasses

import cv2
import numpy as np
import pytest
import torch

from magicpoint import QuadDetector, Quads, QuadSettings
from magicpoint.io.images import write_png
from magicpoint.model.weights import save_weights
from magicpoint.planar.detect import choose, detect_quads
from magicpoint.planar.model import QuadNetwork, folded
from magicpoint.planar.settings import QuadModelSettings

ANY = QuadSettings(threshold=0.0, max_quads=3)


@pytest.fixture
def network():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = QuadNetwork(QuadModelSettings(width=0.125, neck=8, proposals=4, pooled_side=3))
        for part in network.modules():
            if isinstance(part, torch.nn.BatchNorm2d):
                torch.nn.init.uniform_(part.running_mean, -0.1, 0.1)
                torch.nn.init.uniform_(part.running_var, 0.5, 2.0)
    return network.eval()


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)


def test_without_batch_norm_the_network_gives_the_same(network):
    image = torch.rand(1, 1, 48, 64, generator=torch.Generator().manual_seed(0))
    fused = folded(network)
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in fused.modules())
    with torch.no_grad():
        one, other = network(image), fused(image)
    torch.testing.assert_close(one.codes, other.codes, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(one.logits, other.logits, atol=1e-4, rtol=1e-4)
    assert any(isinstance(part, torch.nn.BatchNorm2d) for part in network.modules())


def test_it_finds_what_the_network_finds(network):
    grey = noise(48, 64)
    [wanted] = detect_quads(network, torch.from_numpy(grey)[None, None].float() / 255, ANY)
    found = QuadDetector(network, ANY, scales=(1.0,)).detect(grey)
    assert isinstance(found, Quads)
    assert len(found) == len(wanted) > 0
    np.testing.assert_allclose(found.corners, wanted.corners, atol=0.05)
    assert found.image_size == (64, 48)


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (45, 61), (9, 8)])
def test_images_of_any_size_are_ordinary(network, shape):
    found = QuadDetector(network, ANY).detect(noise(*shape))
    assert found.image_size == shape[::-1]
    assert np.isfinite(found.corners).all()


def test_large_images_are_shrunk_and_corners_are_in_their_pixels(network):
    """Pixel centres: doubling an image moves a place k to 2k + 0.5."""
    grey = noise(48, 64)
    twice = np.kron(grey, np.ones((2, 2), np.uint8))
    small, large = (QuadDetector(network, ANY, longest_side=64).detect(image) for image in (grey, twice))
    np.testing.assert_allclose(large.corners, 2 * small.corners + 0.5, atol=0.1)
    assert large.image_size == (128, 96)


def test_what_is_found_at_several_scales_is_chosen_from_together(network):
    """At half the size a place k is seen at (k + 0.5) / 2 - 0.5, and half as much is proposed."""
    grey = noise(96, 128).astype(np.float32) / 255
    halved = cv2.resize(grey, (64, 48), interpolation=cv2.INTER_AREA)
    asked = ((grey, ANY), (halved, dataclasses.replace(ANY, proposals=ANY.proposals // 2)))
    whole, half = (QuadDetector(network, settings, scales=(1.0,)).detect(image) for image, settings in asked)
    corners = np.concatenate((whole.corners, 2 * half.corners + 0.5))
    scores = np.concatenate((whole.scores, half.scores))
    wanted = choose(corners, scores, ANY, (128, 96))
    found = QuadDetector(network, ANY, scales=(1.0, 0.5)).detect(grey)
    np.testing.assert_allclose(found.corners, wanted.corners, atol=0.1)
    np.testing.assert_allclose(found.scores, wanted.scores, atol=1e-3)


@pytest.mark.parametrize("scales", [(), (0.0,), (1.5,)])
def test_scales_that_cannot_be_are_refused(network, scales):
    with pytest.raises(ValueError, match="scales must be at least one, in"):
        QuadDetector(network, ANY, scales=scales)


def test_files_and_arrays_are_the_same(network, tmp_path):
    grey = noise(48, 64)
    path = write_png(tmp_path / "image.png", np.repeat(grey[..., None], 3, axis=2))
    weights = save_weights(tmp_path / "quads.safetensors", network, {})
    detector = QuadDetector.from_pretrained(weights, ANY)
    np.testing.assert_allclose(detector.detect(path).corners, detector.detect(grey).corners, atol=0.05)
    assert detector.weights == "quads.safetensors"


def test_weights_of_something_else_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no weights of planar things squares"):
        QuadDetector.from_pretrained("squares")
    from magicpoint.model.weights import shipped_weights

    with pytest.raises(ValueError, match="holds a network of the architecture points, not quads"):
        QuadDetector.from_pretrained(shipped_weights("superpoint-tiny").path)
