"""The classical detectors on images whose corners are known."""

import cv2
import numpy as np
import pytest

from magicpoint.evaluation.methods.on_shapes import NMS_RADIUS, detect_all
from magicpoint.evaluation.methods.opencv import ON_PAIRS, ON_SHAPES

CORNERS = np.array([(50, 30), (109, 30), (109, 89), (50, 89)], np.float64)


@pytest.fixture(scope="module")
def square():
    """A bright square from column 50 to 109 and row 30 to 89, softened as a camera does."""
    image = np.full((120, 160), 60, np.uint8)
    image[30:90, 50:110] = 190
    return cv2.GaussianBlur(image, (0, 0), 0.7)


@pytest.mark.parametrize("name", ["fast", "harris", "shi-tomasi", "orb"])
def test_corner_detectors_find_the_corners_of_a_square_with_their_best_scores(name, square):
    [(keypoints, scores)] = ON_SHAPES[name].detect([square])
    best = keypoints[np.argsort(-scores)[:4]]
    distances = np.linalg.norm(CORNERS[:, None] - best[None], axis=2)
    assert (distances.min(axis=1) < 2.0).all()
    assert len(set(distances.argmin(axis=1))) == 4


def test_the_refinement_puts_corners_between_the_pixels(square):
    # The edges of the square lie half a pixel outside of its outermost pixels.
    edges = CORNERS + np.array([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)])
    [(keypoints, scores)] = ON_SHAPES["harris"].detect([square])
    best = keypoints[np.argsort(-scores)[:4]]
    assert np.linalg.norm(edges[:, None] - best[None], axis=2).min(axis=1).max() < 0.2


def test_sift_finds_a_blob_at_its_centre():
    rows, columns = np.mgrid[:120, :160]
    image = (60 + 120 * np.exp(-((columns - 70.3) ** 2 + (rows - 50.6) ** 2) / 50)).astype(np.uint8)
    [(keypoints, scores)] = ON_SHAPES["sift"].detect([image])
    assert np.linalg.norm(keypoints[scores.argmax()] - (70.3, 50.6)) < 0.2


@pytest.mark.parametrize("name", ON_SHAPES)
def test_keypoints_are_inside_apart_ordered_and_the_same_again(name):
    generator = np.random.default_rng(0)
    image = cv2.GaussianBlur(generator.integers(0, 256, (96, 128), np.uint8), (0, 0), 1.5)
    detector = ON_SHAPES[name]
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


@pytest.mark.parametrize("name", ON_SHAPES)
def test_a_blank_image_has_no_keypoints_and_settings_are_plain(name):
    detector = ON_SHAPES[name]
    [(keypoints, scores)] = detector.detect([np.full((120, 160), 128, np.uint8)])
    assert keypoints.shape == (0, 2)
    assert scores.shape == (0,)
    assert detector.settings()["nms_radius"] == NMS_RADIUS


def test_methods_side_by_side_find_what_each_finds_alone(square):
    images = [square, square[::-1].copy()]
    together = detect_all(ON_SHAPES, images)
    assert list(together) == list(ON_SHAPES)
    for name, method in ON_SHAPES.items():
        for (keypoints, _), (alone, _) in zip(together[name], method.detect(images), strict=True):
            assert np.array_equal(keypoints, alone)


def test_the_settings_of_both_comparisons_are_what_is_passed_on():
    assert ON_SHAPES["harris"].settings() == {
        **{"block_size": 3, "aperture": 3, "k": 0.04},
        **{"smallest": 1e-6, "refinement": 5, "nms_radius": NMS_RADIUS},
    }
    assert ON_PAIRS["harris"].settings() == {"block_size": 3, "aperture": 3, "k": 0.04}
    assert (ON_SHAPES["fast"].settings()["threshold"], ON_PAIRS["fast"].settings()["threshold"]) == (10, 2)
    assert (ON_SHAPES["orb"].settings()["levels"], ON_PAIRS["orb"].settings()["levels"]) == (4, 8)
