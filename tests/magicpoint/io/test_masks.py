"""Masks of images: found, read, and kept free of keypoints and labels."""

import logging

import cv2
import numpy as np
import pytest
import torch

from magicpoint import (
    AdaptationSettings,
    DecodeSettings,
    Extractor,
    ImageReading,
    adapt_images,
    extract_images,
    match_images,
    read_features,
    read_labels,
)
from magicpoint.core.errors import InputError
from magicpoint.io.finding import find_images
from magicpoint.io.images import open_image
from magicpoint.io.masks import MARGIN, find_masks, read_mask, well_inside
from magicpoint.io.video_out import open_sink

SIDE, RADIUS = 160, 64


@pytest.fixture(scope="module")
def extractor():
    return Extractor.load("superpoint-tiny", DecodeSettings(max_keypoints=100, threshold=0.002), device="cpu")


@pytest.fixture(scope="module")
def disc():
    """A photograph's corners behind a disc, black around it, and the disc."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    inside = (rows - SIDE / 2) ** 2 + (columns - SIDE / 2) ** 2 < RADIUS**2
    squares = ((rows // 20 + columns // 20) % 2 * 100 + 100).astype(np.uint8)
    return np.where(inside, squares, 0).astype(np.uint8), inside


def distance_inside(mask, keypoints):
    """How far inside the mask keypoints are, in pixels, the larger of x and y."""
    padded = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_C, 3)
    columns, rows = np.rint(np.asarray(keypoints)).astype(int).T
    return padded[rows, columns]


def test_no_keypoint_is_on_the_edge_of_a_disc(extractor, disc):
    image, inside = disc
    on_the_edge = distance_inside(inside, extractor.extract(image).keypoints)
    assert ((on_the_edge > 0) & (on_the_edge <= 3)).sum() >= 4  # what the mask is for
    features = extractor.extract(image, inside)
    assert len(features) > 10
    assert distance_inside(inside, features.keypoints).min() > MARGIN - 1  # a keypoint lies up to 0.5 off its pixel


def test_the_best_are_chosen_among_what_the_mask_leaves(extractor, disc):
    image, _ = disc
    few = extractor.with_settings(DecodeSettings(max_keypoints=5, threshold=0.002))
    half = np.ones_like(image)
    half[:, : SIDE // 2] = 0
    assert len(few.extract(image, half)) == 5
    assert few.extract(image, half).keypoints[:, 0].min() > SIDE // 2 + MARGIN - 1


def test_a_mask_of_everything_changes_no_bit_and_one_of_nothing_leaves_none(extractor, disc):
    image, _ = disc
    whole, masked = extractor.extract(image), extractor.extract(image, np.ones_like(image))
    for name in ("keypoints", "keypoint_scores", "descriptors"):
        assert torch.equal(getattr(whole, name), getattr(masked, name))
    assert len(extractor.extract(image, np.zeros_like(image))) == 0


def test_a_mask_changes_no_bit_of_what_it_leaves(extractor, disc):
    image, inside = disc
    every = extractor.with_settings(DecodeSettings(nms_radius=0, threshold=0.002, subpixel=False))
    whole, masked = every.extract(image), every.extract(image, inside)
    kept = distance_inside(well_inside(inside), whole.keypoints) > 0
    assert torch.equal(whole.keypoints[torch.from_numpy(kept)], masked.keypoints)


def write_transparent(path, image, inside):
    alpha = np.where(inside, 255, 0).astype(np.uint8)
    if path.suffix == ".tif":
        image, alpha = image.astype(np.uint16) * 257, alpha.astype(np.uint16) * 257
    assert cv2.imwrite(str(path), np.dstack([image, image, image, alpha]))


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif", ".gif", ".avif"])
def test_what_is_transparent_is_masked(tmp_path, extractor, disc, suffix):
    image, inside = disc
    path = tmp_path / f"a{suffix}"
    if not cv2.haveImageWriter(str(path)):
        pytest.skip("this OpenCV has no such format")
    write_transparent(path, image, inside)
    assert np.array_equal(open_image(path).mask, inside)
    assert distance_inside(inside, extractor.extract(path).keypoints).min() > MARGIN - 1


def test_what_is_opaque_has_no_mask(tmp_path, disc):
    image, _ = disc
    write_transparent(tmp_path / "a.png", image, np.ones_like(image))
    assert open_image(tmp_path / "a.png").mask is None


@pytest.mark.parametrize("name", ["a.mask.png", "a.jpg.mask.png", "masks/a.png", "masks/a.jpg.png", "masks/a.mask.png"])
def test_masks_are_found(tmp_path, extractor, disc, name):
    image, inside = disc
    folder = tmp_path / "images"
    (folder / "masks").mkdir(parents=True)
    cv2.imwrite(str(folder / "a.jpg"), image)
    cv2.imwrite(str(folder / "b.jpg"), image)
    cv2.imwrite(str(folder / name), inside.astype(np.uint8))  # 1 is enough
    masks = folder / "masks" if "masks/" in name else None
    result = extract_images([folder], tmp_path / "f.h5", extractor, progress=False, masks=masks)
    features = read_features(result.path)
    assert list(features) == ["a.jpg", "b.jpg"]
    assert distance_inside(inside, features["a.jpg"].keypoints).min() > MARGIN - 1
    assert distance_inside(inside, features["b.jpg"].keypoints).min() <= 3
    # Another mask is another image.
    cv2.imwrite(str(folder / name), np.zeros_like(image))
    again = extract_images([folder], tmp_path / "f.h5", extractor, progress=False, masks=masks)
    assert (again.kept, again.changed) == (1, 1)
    assert len(read_features(again.path)["a.jpg"]) == 0


def test_a_mask_that_a_shell_names_is_no_image(tmp_path, caplog):
    for name in ("a.png", "a.mask.png", "b.mask.png"):
        cv2.imwrite(str(tmp_path / name), np.zeros((8, 8), np.uint8))
    assert list(find_images(sorted(tmp_path.iterdir()))) == ["a.png", "b.mask.png"]
    with caplog.at_level(logging.WARNING):
        assert list(find_images([tmp_path], say_passed_over=True)) == ["a.png"]
    assert caplog.messages == ["passed over, of other types: .mask.png without an image 1"]


def test_a_folder_without_masks_is_refused_and_missing_ones_are_said(tmp_path, caplog):
    images = {key: tmp_path / key for key in ("a.png", "b.png")}
    with pytest.raises(InputError, match=r"no mask of 2 images .* that of a\.png is a\.png\.png"):
        find_masks(images, tmp_path)
    (tmp_path / "b.png.png").touch()
    with caplog.at_level(logging.WARNING):
        assert find_masks(images, tmp_path) == {"b.png": tmp_path / "b.png.png"}
    assert "1 of 2 images have no mask" in caplog.text
    with pytest.raises(FileNotFoundError, match="no folder of masks"):
        find_masks(images, tmp_path / "missing")


@pytest.mark.parametrize(("wrong", "said"), [(np.ones((9, 8), np.uint8), "is 8x9, its image 8x8"), (b"", "is empty")])
def test_wrong_masks_skip_their_image_by_name(tmp_path, extractor, wrong, said):
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(tmp_path / name), np.zeros((8, 8), np.uint8))
    content = wrong if isinstance(wrong, bytes) else cv2.imencode(".png", wrong)[1].tobytes()
    (tmp_path / "a.mask.png").write_bytes(content)
    result = extract_images([tmp_path], tmp_path / "f.h5", extractor, progress=False)
    assert list(result.skipped) == ["a.png"]
    assert said in result.skipped["a.png"]
    assert "a.mask.png" in result.skipped["a.png"]


def test_a_mask_of_colours_and_of_huge_size(tmp_path):
    colours = np.zeros((8, 8, 3), np.uint8)
    colours[:4, :, 2] = 7
    cv2.imwrite(str(tmp_path / "m.png"), colours)
    assert np.array_equal(read_mask(tmp_path / "m.png", (8, 8)), colours.any(axis=2))
    with pytest.raises(InputError, match="max_megapixels"):
        read_mask(tmp_path / "m.png", (8, 8), ImageReading(max_megapixels=1e-5))


@pytest.mark.parametrize("mask", [np.ones((4, 4), bool), np.ones((8, 8), float), [[1]], "m.png"])
def test_a_mask_that_is_none_is_refused(extractor, mask):
    with pytest.raises(ValueError, match=r"the mask must be a bool or uint8 array \(8, 8\)"):
        extractor.extract(np.zeros((8, 8), np.uint8), mask)


@pytest.mark.parametrize("longest_side", [None, 80])
def test_labels_know_nothing_of_what_is_masked(tmp_path, disc, longest_side):
    image, inside = disc
    write_transparent(tmp_path / "a.png", image, inside)
    detector = Extractor.load("superpoint-tiny", device="cpu")
    settings = AdaptationSettings(count=3, threshold=0.001, longest_side=longest_side, precision="float32")
    adapt_images([tmp_path], tmp_path / "l.h5", detector, settings, progress=False)
    labels = read_labels(tmp_path / "l.h5")["a.png"]
    assert len(labels) > 5
    assert distance_inside(inside, labels.keypoints).min() > MARGIN - 1
    known = labels.valid_mask.numpy()
    assert known.any()
    assert not known[~well_inside(inside, MARGIN - 1)].any()


def test_the_mask_of_a_video_is_that_of_its_frames(tmp_path, extractor, disc):
    image, inside = disc
    clip = tmp_path / "clip.avi"
    with open_sink(clip, 25) as sink:
        for _ in range(2):
            sink.write(np.dstack([image] * 3))
    cv2.imwrite(str(tmp_path / "clip.mask.png"), inside.astype(np.uint8) * 255)
    result = extract_images([clip], tmp_path / "f.h5", extractor, progress=False)
    assert result.images == 2
    for features in read_features(result.path).values():
        assert distance_inside(inside, features.keypoints).min() > MARGIN - 1


def test_two_images_are_matched_with_the_masks_beside_them(tmp_path, extractor, disc):
    image, inside = disc
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(tmp_path / name), image)
    whole = match_images(tmp_path / "a.png", tmp_path / "b.png", extractor)
    cv2.imwrite(str(tmp_path / "b.mask.png"), inside.astype(np.uint8) * 255)
    masked = match_images(tmp_path / "a.png", tmp_path / "b.png", extractor)
    assert masked.keypoint_count0 == whole.keypoint_count0
    assert masked.keypoint_count1 == len(extractor.extract(image, inside).keypoints)
    x, y = masked.matched_keypoints1.round().T.astype(int)
    assert well_inside(inside)[y, x].all()
    cv2.imwrite(str(tmp_path / "b.mask.png"), np.ones((9, 8), np.uint8))
    with pytest.raises(InputError, match=r"b\.mask\.png is 8x9, its image 160x160"):
        match_images(tmp_path / "a.png", tmp_path / "b.png", extractor)
