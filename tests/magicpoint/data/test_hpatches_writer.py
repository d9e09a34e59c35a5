"""Pairs made of single images: what the files say is what the images show."""

import cv2
import numpy as np
import pytest

from homography import valid_mask, warp_image
from magicpoint.data.hpatches import find_sequences, read_homography
from magicpoint.data.hpatches_writer import draw_viewpoint, write_view_pairs
from magicpoint.io.images import read_image


def texture(height, width, seed=0):
    noise = np.random.default_rng(seed).integers(0, 256, (height, width)).astype(np.uint8)
    return cv2.equalizeHist(cv2.GaussianBlur(noise, (0, 0), 1.5))


def test_the_files_are_what_was_asked_for(tmp_path):
    images = {"a": texture(60, 80), "b": texture(90, 50, 1)}
    sequences = {sequence.name: sequence for sequence in find_sequences(write_view_pairs(images, tmp_path / "pairs"))}
    assert list(sequences) == ["i_a", "i_b", "v_a", "v_b"]
    for name, sequence in sequences.items():
        image = images[name[2:]]
        assert [view.number for view in sequence.views] == [2, 3, 4, 5, 6]
        np.testing.assert_array_equal(np.rint(read_image(sequence.reference) * 255), image)
        for view in sequence.views:
            H_0to1, shown = read_homography(view.homography), np.rint(read_image(view.image) * 255)
            if name.startswith("i_"):
                np.testing.assert_array_equal(H_0to1, np.eye(3))
                assert shown.shape == image.shape
            else:
                np.testing.assert_array_equal(shown, warp_image(image, H_0to1))
    light = [view.image.read_bytes() for view in sequences["i_a"].views]
    assert len({*light, sequences["i_a"].reference.read_bytes()}) > 3


def test_a_large_image_is_shrunk_and_keeps_its_aspect(tmp_path):
    [sequence, _] = find_sequences(write_view_pairs({"a": texture(160, 1280)}, tmp_path))
    assert read_image(sequence.reference).shape == (80, 640)


def test_the_same_seed_gives_the_same_views(tmp_path):
    images = {"a": texture(40, 60)}
    for name, seed in (("first", 3), ("again", 3), ("other", 4)):
        write_view_pairs(images, tmp_path / name, seed)
    contents = {
        name: [path.read_bytes() for path in sorted((tmp_path / name).rglob("[2-6].png"))]
        for name in ("first", "again", "other")
    }
    assert contents["first"] == contents["again"]
    assert contents["first"] != contents["other"]


@pytest.mark.parametrize("size", [(64, 48), (40, 100), (2, 2)])
def test_views_show_nothing_beyond_the_image_and_no_horizon(size):
    rng = np.random.default_rng(0)
    width, height = size
    corners = np.array([[x, y, 1] for x in (0, width - 1) for y in (0, height - 1)])
    for _ in range(100):
        H_0to1 = draw_viewpoint(size, rng)
        assert valid_mask(size, H_0to1).all()
        assert (corners @ H_0to1[2] > 0).all()
        assert H_0to1[2, 2] == 1
