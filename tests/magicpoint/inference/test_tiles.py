import dataclasses

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from magicpoint.decoding.decode import decode
from magicpoint.decoding.descriptors import sample_descriptors
from magicpoint.decoding.settings import DecodeSettings
from magicpoint.inference.backends import open_network
from magicpoint.inference.extractor import Extractor, as_input
from magicpoint.inference.tiles import (
    HALO_CELLS,
    MOST_PIXELS,
    RECEPTIVE_MARGIN,
    TILE_CELLS,
    _split,
    needs_tiles,
    run_in_tiles,
    sample_strips,
)
from magicpoint.model.network import MagicPoint

SETTINGS = DecodeSettings(border=0)

# A convolution may add in another order at another size of its input. Relative to what it adds up, float32 rounds at
# 2 ** -24 for each of the 576 products of a sum at most, and eleven layers pass that on: 1e-4 of a logit of size 1.
ROUNDING = 1e-4

# float16 rounds a component below 1 by 2 ** -12, and the scaling to unit length can double that.
HALF = 2.0**-11


def picture(height, width):
    noise = np.random.default_rng(0).integers(0, 256, (height, width)).astype(np.uint8)
    return cv2.equalizeHist(cv2.GaussianBlur(noise, (0, 0), 1.5)).astype(np.float32) / 255


@pytest.mark.parametrize(("cells", "longest"), [(1, 180), (180, 180), (181, 180), (1000, 180), (750, 180), (23, 11)])
def test_tiles_share_one_size_and_cover_each_cell_once_with_its_halo(cells, longest):
    spans = _split(cells, longest)
    assert len({span.stop - span.start for span in spans}) == 1
    assert [cell for span in spans for cell in range(span.first, span.last)] == list(range(cells))
    for span in spans:
        assert span.stop - span.start <= longest
        assert span.start == 0 or span.first - span.start >= HALO_CELLS
        assert span.stop == cells or span.stop - span.last >= HALO_CELLS
        assert 0 <= span.start <= span.first < span.last <= span.stop <= cells


def test_an_image_of_8000x6000_takes_30_tiles_of_almost_the_largest_size():
    rows, columns = _split(750, TILE_CELLS), _split(1000, TILE_CELLS)
    assert (len(rows), len(columns)) == (5, 6)
    assert (rows[0].stop, columns[0].stop) == (158, 175)


@pytest.mark.parametrize("distance", [RECEPTIVE_MARGIN, RECEPTIVE_MARGIN + 1])
def test_a_cell_sees_as_far_as_is_said_and_no_farther(distance):
    model = MagicPoint(0.125, batch_norm="none").eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.fill_(0.01 if name.endswith("weight") else 0.0)  # Nothing cancels, ReLU lets everything pass.
    cell, seen = 10, distance <= RECEPTIVE_MARGIN
    for axis in (2, 3):
        for pixel in (8 * cell - distance, 8 * cell + 7 + distance):
            index = [0, 0, 84, 84]
            index[axis] = pixel
            image = torch.zeros(1, 1, 168, 168)
            image[tuple(index)] = 1e6
            with torch.no_grad():
                at_cell = model(image).logits[0, :, cell, cell]
            assert bool((at_cell != 0).any()) == seen


@pytest.mark.parametrize(("height", "width"), [(8, 300), (203, 310), (333, 129), (256, 264)])
def test_tiles_give_what_one_piece_gives(height, width, random_network):
    model, grey = random_network(), picture(height, width)
    network = open_network(model, torch.device("cpu"))
    expected, expected_dense = network(as_input(grey, 8))
    expected = expected[:, :height, :width]
    heatmap, dense = run_in_tiles(network, grey, tile_cells=14)
    assert heatmap.shape == (1, height, width)
    assert dense.shape == expected_dense.shape
    assert torch.allclose(heatmap, expected, rtol=0, atol=ROUNDING)
    assert torch.allclose(dense.float(), expected_dense, rtol=0, atol=HALF)

    assert_same_keypoints(decode(heatmap, SETTINGS)[0], decode(expected, SETTINGS)[0])


def assert_same_keypoints(found, expected):
    """The same pixels, whichever of two equal scores comes first, up to rounding."""
    assert len(found[0]) == len(expected[0]) > 20
    orders = [np.lexsort(keypoints.round().T.numpy()) for keypoints, _ in (found, expected)]
    for values, expected_values, tolerance in zip(found, expected, (1e-2, ROUNDING), strict=True):
        assert torch.allclose(values[orders[0]], expected_values[orders[1]], rtol=0, atol=tolerance)


def bright_pixels(image):
    """A network that is certain of a keypoint in every pixel, by its brightness, and sees nothing else."""
    return image[:, 0], None


def test_suppression_is_exact_across_tiles():
    # A chain of points 4 apart, each stronger than the one before, over all borders of tiles: of 1, 2, 3 ... n the last
    # suppresses the one before it, which then spares the one before that. So the parity of the last decides about all.
    grey = np.zeros((100, 403), np.float32)
    columns = np.arange(2, 400, 4)
    grey[50, columns] = np.linspace(0.2, 0.6, len(columns), dtype=np.float32)
    grey[51, columns] = grey[50, columns] / 2
    heatmap, dense = run_in_tiles(bright_pixels, grey, tile_cells=14)
    assert dense is None
    [(keypoints, _)] = decode(heatmap, dataclasses.replace(SETTINGS, subpixel=False))
    assert sorted(keypoints[:, 0].tolist()) == columns[::-1][::2][::-1].tolist()
    assert set(keypoints[:, 1].tolist()) == {50.0}


def test_zeros_are_padded_at_the_borders_of_the_image_alone():
    def count_neighbours(image):
        """Counts, for each cell, which of its 3x3 neighbours exist."""
        ones = torch.ones(1, 1, image.shape[2] // 8, image.shape[3] // 8)
        return image[:, 0], nn.functional.conv2d(ones, torch.ones(1, 1, 3, 3), padding=1)

    _, counts = run_in_tiles(count_neighbours, picture(300, 300), tile_cells=14)
    expected = torch.full((38, 38), 9.0)
    expected[[0, -1]] = 6.0
    expected[:, [0, -1]] = 6.0
    for row in (0, -1):
        for column in (0, -1):
            expected[row, column] = 4.0
    assert torch.equal(counts[0, 0].float(), expected)


@pytest.mark.parametrize("sampling", ["centres", "legacy"])
@pytest.mark.parametrize("rows", [1, 31, 32, 33, 70])
def test_strips_sample_what_the_whole_map_gives(rows, sampling):
    generator = torch.Generator().manual_seed(0)
    dense = torch.randn(1, 8, rows, 5, generator=generator)
    keypoints = torch.rand(200, 2, generator=generator) * torch.tensor([39.0, 8.0 * rows - 1])
    keypoints = torch.cat((keypoints, torch.tensor([[0.0, 0.0], [39.0, 8.0 * rows - 1], [3.5, 3.5]])))
    expected = sample_descriptors(dense, [keypoints], sampling)[0]
    # The place between two cells is rounded to 2 ** -24 of the map's height, 70 cells at most.
    assert torch.allclose(sample_strips(dense, keypoints, sampling), expected, rtol=0, atol=1e-4)
    assert sample_strips(dense, keypoints[:0]).shape == (0, 8)


def test_only_images_larger_than_a_tile_need_tiles():
    assert MOST_PIXELS == 1920 * 1080
    assert not needs_tiles(np.empty((1080, 1920), np.float32))
    assert needs_tiles(np.empty((1081, 1920), np.float32))


def test_tiles_must_be_larger_than_their_halos():
    with pytest.raises(ValueError, match="tile_cells must be more than the two halos, 10, got 10"):
        run_in_tiles(bright_pixels, picture(8, 8), tile_cells=10)


def test_shipped_weights_give_the_keypoints_of_one_piece():
    extractor = Extractor.from_pretrained("magicpoint", device="cpu")
    grey = np.zeros((205, 299), np.float32)
    for corner in range(10, 180, 40):
        cv2.rectangle(grey, (corner, corner), (corner + 25, corner + 17), 0.3 + corner / 300, -1)
        cv2.rectangle(grey, (corner + 101, corner), (corner + 117, corner + 11), 0.9, -1)
    expected = extractor.extract(grey)
    heatmap, _ = run_in_tiles(extractor.network, grey, tile_cells=14)
    assert_same_keypoints(decode(heatmap, extractor.settings)[0], (expected.keypoints, expected.keypoint_scores))
