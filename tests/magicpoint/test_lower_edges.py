"""The right and the lower edge of images whose sides are odd: keypoints, descriptors, masks and what is inside."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from homography import valid_mask
from magicpoint.data.samples import TrainingSample, keep_visible
from magicpoint.decoding.decode import decode
from magicpoint.decoding.settings import DecodeSettings
from magicpoint.inference import tiles
from magicpoint.inference.extractor import Extractor
from magicpoint.measures.points import is_inside
from magicpoint.model.network import Output
from magicpoint.model.settings import ModelSettings
from magicpoint.training.targets import labels2Dto3D

SIZES = [(7, 9), (17, 33), (33, 41), (24, 15)]
"""(H, W): both odd, and one of them."""


class BrightPixels(nn.Module):
    """Certain of a keypoint where a pixel is bright; the descriptor of a cell is one of its own, orthogonal to all."""

    settings = ModelSettings()

    def forward(self, image):
        rows, columns = image.shape[2] // 8, image.shape[3] // 8
        descriptors = torch.eye(rows * columns).view(1, rows * columns, rows, columns)
        return Output((labels2Dto3D((image > 0.5).float()) + 1e-6).log(), descriptors)


@pytest.fixture
def extractor():
    return Extractor(BrightPixels(), DecodeSettings(border=0, nms_radius=2), "cpu")


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_a_keypoint_in_the_last_row_or_column_is_found_on_its_pixel(extractor, height, width):
    for x, y in itertools.product((0, width // 2, width - 1), (0, height // 2, height - 1)):
        image = np.zeros((height, width), np.float32)
        image[y, x] = 1.0
        assert extractor.extract(image).keypoints.tolist() == [[x, y]]


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_a_border_is_as_wide_at_the_right_and_below(extractor, height, width):
    border = 3
    bordered = extractor.with_settings(DecodeSettings(border=border, nms_radius=2))
    for x, y, found in (
        (width - 1 - border, height - 1 - border, 1),
        (width - border, height - 1 - border, 0),
        (width - 1 - border, height - border, 0),
        (border, border, 1),
        (border - 1, border, 0),
        (border, border - 1, 0),
    ):
        image = np.zeros((height, width), np.float32)
        image[y, x] = 1.0
        assert len(bordered.extract(image)) == found, (x, y)


def test_a_peak_beyond_the_edge_does_not_move_the_keypoint_of_the_last_pixel():
    # In what is padded the map would go on rising: the fit must not read it.
    heatmap = torch.zeros(1, 16, 16)
    heatmap[0, 8, 7:12] = torch.tensor([0.1, 0.3, 0.5, 0.8, 0.2])
    [(keypoints, scores)] = decode(heatmap, DecodeSettings(border=0), [(10, 9)])
    assert keypoints.tolist() == [[9, 8]]
    assert scores.tolist() == pytest.approx([0.5])


def cells(x, y, columns, rows):
    """What each cell adds to the bilinear mean at a pixel; the centre of cell i is at 8 i + 3.5."""
    across, down = np.clip((x - 3.5) / 8, 0, columns - 1), np.clip((y - 3.5) / 8, 0, rows - 1)
    weights = (
        np.maximum(0, 1 - abs(np.arange(columns) - across)) * np.maximum(0, 1 - abs(np.arange(rows) - down))[:, None]
    )
    return weights.ravel() / np.linalg.norm(weights)


@pytest.mark.parametrize("in_tiles", [False, True])
@pytest.mark.parametrize(("height", "width"), [*SIZES, (117, 123)])
def test_descriptors_at_the_lower_edge_are_read_where_the_keypoint_is(monkeypatch, extractor, height, width, in_tiles):
    columns, rows = -(-width // 8), -(-height // 8)
    if in_tiles:  # each of which would have other cells: here one tile holds all
        monkeypatch.setattr(tiles, "MOST_PIXELS", 0)
    for x, y in ((width - 1, height - 1), (width - 1, 2), (1, height - 1)):
        image = np.zeros((height, width), np.float32)
        image[y, x] = 1.0
        [descriptor] = extractor.extract(image).descriptors.numpy()
        np.testing.assert_allclose(descriptor, cells(x, y, columns, rows), atol=1e-3)


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_a_mask_reaches_the_last_row_and_column(kind, height, width):
    def mask(right, down, erosion=0):
        H_0to1 = np.array([[1.0, 0.0, right], [0.0, 1.0, down], [0.0, 0.0, 1.0]])
        if kind == "numpy":
            return valid_mask((width, height), H_0to1, erosion=erosion)
        return valid_mask((width, height), torch.from_numpy(H_0to1)[None], erosion=erosion)[0, 0].numpy()

    def all_but(rows, columns):
        expected = np.ones((height, width), np.bool_)
        expected[rows], expected[:, columns] = False, False
        return expected

    nothing = slice(0, 0)
    assert mask(0, 0).all()
    np.testing.assert_array_equal(mask(-1, 0), all_but(nothing, slice(-1, None)))
    np.testing.assert_array_equal(mask(0, -1), all_but(slice(-1, None), nothing))
    np.testing.assert_array_equal(mask(-0.5, -0.5), all_but(slice(-1, None), slice(-1, None)))
    np.testing.assert_array_equal(mask(0.5, 0.5), all_but(slice(0, 1), slice(0, 1)))
    # A ring at each side, whether the frame or the image ends there.
    ring = all_but([0, 1, -2, -1], [0, 1, -2, -1])
    np.testing.assert_array_equal(mask(0, 0, erosion=2), ring)
    ring[:, -3] = False
    np.testing.assert_array_equal(mask(-1, 0, erosion=2), ring)


def test_a_label_on_the_last_pixel_stays_and_one_beyond_its_centre_goes():
    mask = np.ones((7, 9), np.bool_)

    def kept(*keypoints):
        points = np.array(keypoints, np.float32)
        sample = TrainingSample(np.zeros((7, 9), np.uint8), points, points[:, 0], mask)
        left = keep_visible(sample)
        np.testing.assert_array_equal(left.certainties, left.keypoints[:, 0])
        return [keypoint for keypoint in keypoints if (left.keypoints == np.float32(keypoint)).all(1).any()]

    assert kept((8.0, 6.0), (8.01, 6.0), (8.0, 6.01), (0.0, 0.0), (-0.01, 0.0), (0.0, -0.01)) == [(8, 6), (0, 0)]
    mask[6, 8] = False
    assert kept((8.0, 6.0), (0.0, 0.0)) == [(0, 0)]
    # The pixel of a keypoint is the nearest one.
    assert kept((7.4, 6.0), (7.6, 6.0), (8.0, 5.4), (8.0, 5.6)) == [(7.4, 6), (8, 5.4)]


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_an_image_reaches_from_minus_a_half_to_half_a_pixel_beyond_the_last_centre(height, width):
    right, bottom = width - 0.5, height - 0.5
    for x, y in itertools.product((-0.5, 0.0, right), (-0.5, 0.0, bottom)):
        assert is_inside(np.array([[x, y]]), (width, height)).tolist() == [True]
    least, most = np.nextafter(-0.5, -1.0), (np.nextafter(right, np.inf), np.nextafter(bottom, np.inf))
    outside = [[least, 0], [0, least], [most[0], 0], [0, most[1]], [np.nan, 0], [0, np.nan]]
    assert not is_inside(np.array(outside), (width, height)).any()
