"""The classical detectors on images whose corners are known."""

import cv2
import numpy as np
import pytest

from magicpoint.evaluation.methods.for_shapes import CLASSICAL, NMS_RADIUS, detect_all

CORNERS = np.array([(50, 30), (109, 30), (109, 89), (50, 89)], np.float64)


@pytest.fixture(scope="module")
def square():
    """A bright square from column 50 to 109 and row 30 to 89, softened as a camera does."""
    image = np.full((120, 160), 60, np.uint8)
    image[30:90, 50:110] = 190
    return cv2.GaussianBlur(image, (0, 0), 0.7)


@pytest.mark.parametrize("name", ["fast", "harris", "shi-tomasi", "orb"])
def test_corner_detectors_find_the_corners_of_a_square_with_their_best_scores(name, square):
    [(keypoints, scores)] = CLASSICAL[name]().detect([square])
    best = keypoints[np.argsort(-scores)[:4]]
    distances = np.linalg.norm(CORNERS[:, None] - best[None], axis=2)
    assert (distances.min(axis=1) < 2.0).all()
    assert len(set(distances.argmin(axis=1))) == 4


def test_the_refinement_puts_corners_between_the_pixels(square):
    # The edges of the square lie half a pixel outside of its outermost pixels.
    edges = CORNERS + np.array([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)])
    [(keypoints, scores)] = CLASSICAL["harris"]().detect([square])
    best = keypoints[np.argsort(-scores)[:4]]
    assert np.linalg.norm(edges[:, None] - best[None], axis=2).min(axis=1).max() < 0.2


def test_sift_finds_a_blob_at_its_centre():
    rows, columns = np.mgrid[:120, :160]
    image = (60 + 120 * np.exp(-((columns - 70.3) ** 2 + (rows - 50.6) ** 2) / 50)).astype(np.uint8)
    [(keypoints, scores)] = CLASSICAL["sift"]().detect([image])
    assert np.linalg.norm(keypoints[scores.argmax()] - (70.3, 50.6)) < 0.2


@pytest.mark.parametrize("name", CLASSICAL)
def test_keypoints_are_inside_apart_ordered_and_the_same_again(name):
    generator = np.random.default_rng(0)
    image = cv2.GaussianBlur(generator.integers(0, 256, (96, 128), np.uint8), (0, 0), 1.5)
    detector = CLASSICAL[name]()
    (keypoints, scores), (again, scores_again) = detector.detect([image, image])
    assert len(keypoints) > 10
    assert keypoints.dtype == scores.dtype == np.float32
    assert np.array_equal(keypoints, again)
    assert np.array_equal(scores, scores_again)
    assert (np.diff(scores) <= 0).all()
    assert ((keypoints >= -0.5) & (keypoints <= (127.5, 95.5))).all()
    pixels = np.rint(keypoints)
    apart = np.abs(pixels[:, None] - pixels[None]).max(axis=2)
    assert apart[~np.eye(len(keypoints), dtype=bool)].min() > NMS_RADIUS


@pytest.mark.parametrize("name", CLASSICAL)
def test_a_blank_image_has_no_keypoints_and_settings_are_plain(name):
    detector = CLASSICAL[name]()
    [(keypoints, scores)] = detector.detect([np.full((120, 160), 128, np.uint8)])
    assert keypoints.shape == (0, 2)
    assert scores.shape == (0,)
    assert detector.name == name
    assert detector.settings()["nms_radius"] == NMS_RADIUS


def test_detectors_side_by_side_find_what_each_finds_alone(square):
    detectors = [method() for method in CLASSICAL.values()]
    together = detect_all(detectors, [square, square[::-1].copy()])
    assert list(together) == list(CLASSICAL)
    for detector in detectors:
        for (keypoints, _), (alone, _) in zip(
            together[detector.name], detector.detect([square, square[::-1].copy()]), strict=True
        ):
            assert np.array_equal(keypoints, alone)
