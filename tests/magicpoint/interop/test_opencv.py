"""The extractor in the place of OpenCV's features, used as those are used."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from magicpoint.decoding.settings import DecodeSettings
from magicpoint.inference import tiles
from magicpoint.inference.extractor import Extractor
from magicpoint.interop.opencv import Feature2D
from magicpoint.io.grey import to_grey

PHOTOGRAPH = Path(__file__).parents[3] / "notebooks" / "images" / "cameraman.png"


@pytest.fixture(scope="module")
def photograph():
    return cv2.imread(str(PHOTOGRAPH), cv2.IMREAD_GRAYSCALE)


@pytest.fixture(scope="module")
def extractor():
    return Extractor.from_pretrained("superpoint-tiny", DecodeSettings(max_keypoints=500), device="cpu")


@pytest.fixture(scope="module")
def detector(random_network):
    return Extractor(random_network(descriptor_dim=0), device="cpu")


def colours(seed=0):
    noise = np.random.default_rng(seed).integers(0, 256, (90, 122, 3)).astype(np.uint8)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2), None, 0, 255, cv2.NORM_MINMAX)


def positions(keypoints):
    return np.array([keypoint.pt for keypoint in keypoints], np.float32).reshape(-1, 2)


def test_the_keypoints_are_those_of_the_extractor_on_the_colours_in_their_order(random_network):
    extractor = Extractor(random_network(), device="cpu")
    bgr = colours()
    expected = extractor.extract(bgr[..., ::-1])
    opaque = np.dstack((bgr, np.full(bgr.shape[:2], 9, np.uint8)))
    for image in (bgr, opaque):
        keypoints, descriptors = Feature2D(extractor).detectAndCompute(image, None)
        assert len(keypoints) == len(expected) > 10
        np.testing.assert_array_equal(positions(keypoints), expected.keypoints)
        np.testing.assert_array_equal(descriptors, expected.descriptors)
        np.testing.assert_array_equal(np.float32([k.response for k in keypoints]), expected.keypoint_scores)
        assert {(k.size, k.angle, k.octave) for k in keypoints} == {(8, -1, 0)}
    wrong_order = positions(Feature2D(extractor).detect(bgr[..., ::-1]))
    assert wrong_order.shape != expected.keypoints.shape or not np.array_equal(wrong_order, expected.keypoints)
    grey = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)
    np.testing.assert_array_equal(positions(Feature2D(extractor).detect(grey)), extractor.extract(grey).keypoints)


def test_it_says_of_its_descriptors_what_opencv_asks(extractor, detector):
    feature = Feature2D(extractor)
    said = feature.descriptorSize(), feature.descriptorType(), feature.defaultNorm()
    assert said == (256, cv2.CV_32F, cv2.NORM_L2)
    assert Feature2D(detector).descriptorSize() == 0


def test_the_mask_acts_before_the_best_are_chosen(extractor, photograph):
    few = extractor.with_settings(DecodeSettings(max_keypoints=20))
    mask = np.zeros(photograph.shape, np.uint8)
    mask[:, 300:] = 255
    found = Feature2D(few).detect(photograph, mask)
    assert len(found) == 20
    assert (positions(found)[:, 0] >= 299.5).all()
    assert (positions(Feature2D(few).detect(photograph))[:, 0] < 299.5).sum() > 0
    # Away from the mask's edge they are the best of all that there are.
    every = positions(Feature2D(extractor.with_settings(DecodeSettings())).detect(photograph))
    best = [point for point in every.tolist() if point[0] > 310]
    inner = [point for point in positions(found).tolist() if point[0] > 310]
    assert inner == best[: len(inner)]
    assert len(inner) > 10
    for wrong in (mask[1:], mask[..., None]):
        with pytest.raises(ValueError, match="mask must be a bool"):
            Feature2D(few).detect(photograph, wrong)


def test_keypoints_are_described_where_they_are(extractor, photograph):
    feature = Feature2D(extractor)
    keypoints, descriptors = feature.detectAndCompute(photograph)
    again, same = feature.compute(photograph, keypoints)
    np.testing.assert_array_equal(same, descriptors)
    assert again == keypoints
    # Another detector's keypoints; those outside the image go, as in OpenCV.
    height, width = photograph.shape
    fast = cv2.FastFeatureDetector_create().detect(photograph)
    outside = [cv2.KeyPoint(-1.0, 5.0, 8), cv2.KeyPoint(5.0, float(height), 8), cv2.KeyPoint(float(width), 5.0, 8)]
    kept, described = feature.compute(photograph, (*outside, *fast))
    assert kept == tuple(fast)
    np.testing.assert_allclose(np.linalg.norm(described, axis=1), 1, atol=1e-5)
    # In the middle between the centres of two cells it is the direction of the mean of theirs.
    with torch.no_grad():
        dense = extractor.network(torch.from_numpy(to_grey(photograph))[None, None]).descriptors[0]
    _, [between] = feature.compute(photograph, [cv2.KeyPoint(8 * 10 + 7.5, 8 * 20 + 3.5, 8)])
    mean = dense[:, 20, 10] + dense[:, 20, 11]
    np.testing.assert_allclose(between, mean / mean.norm(), atol=1e-5)


def test_an_image_without_keypoints_gives_none_as_from_sift(extractor):
    blank = np.zeros((64, 64), np.uint8)
    feature, sift = Feature2D(extractor), cv2.SIFT_create()
    assert feature.detectAndCompute(blank, None) == sift.detectAndCompute(blank, None) == ((), None)
    assert feature.compute(blank, ()) == sift.compute(blank, ()) == ((), None)
    assert feature.detect(blank) == sift.detect(blank) == ()


def test_a_detector_detects_and_does_not_describe(detector):
    feature = Feature2D(detector)
    assert len(feature.detect(colours())) > 10
    for call in (lambda: feature.compute(colours(), ()), lambda: feature.detectAndCompute(colours())):
        with pytest.raises(ValueError, match="give no descriptors"):
            call()
    with pytest.raises(ValueError, match="give no descriptors"):
        detector.describe(np.zeros((64, 64), np.float32), torch.zeros(1, 2))


@pytest.mark.parametrize("matcher", ["brute force", "flann"])
def test_a_known_homography_is_found_as_the_tutorials_do_it(extractor, photograph, matcher):
    H = np.array([[0.96, -0.12, 40.0], [0.1, 0.98, -12.0], [8e-5, -5e-5, 1.0]])
    turned = cv2.warpPerspective(photograph, H, (photograph.shape[1], photograph.shape[0]), flags=cv2.INTER_AREA)
    feature = Feature2D(extractor)
    keypoints0, descriptors0 = feature.detectAndCompute(photograph, None)
    keypoints1, descriptors1 = feature.detectAndCompute(turned, None)
    if matcher == "flann":
        near = cv2.FlannBasedMatcher({"algorithm": 1, "trees": 4}, {"checks": 64}).knnMatch(
            descriptors0, descriptors1, 2
        )
        matches = [first for first, second in near if first.distance < 0.9 * second.distance]
    else:
        matches = cv2.BFMatcher(feature.defaultNorm(), crossCheck=True).match(descriptors0, descriptors1)
    points0 = positions(keypoints0)[[match.queryIdx for match in matches]]
    points1 = positions(keypoints1)[[match.trainIdx for match in matches]]
    found, inliers = cv2.findHomography(points0, points1, cv2.RANSAC, 3.0)
    assert inliers.sum() > 100
    height, width = photograph.shape
    corners = np.float64([[[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]]])
    errors = np.linalg.norm(cv2.perspectiveTransform(corners, found) - cv2.perspectiveTransform(corners, H), axis=2)
    assert errors.mean() < 3.0
    drawn = cv2.drawMatches(photograph, keypoints0, turned, keypoints1, matches[:10], None)
    assert drawn.shape == (height, 2 * width, 3)


def test_without_a_mask_it_is_extract_bit_for_bit_also_in_tiles(random_network, monkeypatch):
    extractor = Extractor(random_network(), device="cpu")
    grey = to_grey(np.tile(colours()[..., 0], (3, 4)))
    everywhere = np.ones(grey.shape, np.bool_)
    right = everywhere.copy()
    right[:, :200] = False
    whole = extractor.extract(grey, right, mask_margin=0)
    for tiled in (False, True):
        if tiled:
            monkeypatch.setattr(tiles, "MOST_PIXELS", 100)
            monkeypatch.setattr(tiles.run_in_tiles, "__defaults__", (2 * tiles.HALO_CELLS + 6,))
        expected = extractor.extract(grey)
        for mask in (None, everywhere):
            found = extractor.extract(grey, mask, mask_margin=0)
            for name in ("keypoints", "keypoint_scores", "descriptors"):
                assert torch.equal(getattr(found, name), getattr(expected, name)), name
        assert torch.equal(extractor.describe(grey, expected.keypoints), expected.descriptors)
        masked = extractor.extract(grey, right, mask_margin=0)
        assert 10 < len(masked) < len(expected)
        torch.testing.assert_close(masked.keypoints, whole.keypoints, rtol=0, atol=1e-3)
