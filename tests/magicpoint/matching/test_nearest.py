import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from magicpoint.core.plain import as_plain
from magicpoint.core.types import Features, Matches
from magicpoint.decoding.settings import DecodeSettings
from magicpoint.evaluation.methods.on_pairs import binary_as_unit
from magicpoint.inference.extractor import Extractor
from magicpoint.jobs.match import format_matching, match_images
from magicpoint.matching import nearest as match_module
from magicpoint.matching.homography import estimate_homography
from magicpoint.matching.nearest import match_features
from magicpoint.matching.settings import MatchSettings
from magicpoint.model.network import MagicPoint, Output
from magicpoint.model.settings import ModelSettings
from magicpoint.pictures.canvas import LEGEND_HEIGHT
from magicpoint.pictures.matches import GAP, draw_matches
from magicpoint.training.targets import labels2Dto3D

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")),
]


def described(descriptors, dim=2):
    descriptors = torch.as_tensor(descriptors, dtype=torch.float32).reshape(-1, dim)
    count = len(descriptors)
    return Features(torch.zeros(count, 2), torch.ones(count), descriptors, (100, 100))


def at_angles(*degrees):
    """Unit descriptors in the plane: the cosine of two is that of the angle between them."""
    radians = torch.tensor(degrees, dtype=torch.float64).deg2rad()
    return described(torch.stack((radians.cos(), radians.sin()), dim=1))


def pairs(matches):
    return [tuple(pair) for pair in matches.matches01.tolist()]


@pytest.mark.parametrize("device", DEVICES)
def test_mutual_nearest_neighbours(device):
    # 1 at 30 degrees is nearer to 0 at 20 than to 0 at 0, which has no partner then.
    found = match_features(at_angles(0, 20, 90).to(device), at_angles(95, 30).to(device))
    assert pairs(found) == [(1, 1), (2, 0)]
    np.testing.assert_allclose(found.scores.cpu(), np.cos(np.deg2rad([10, 5])), atol=1e-6)
    assert found.matches01.dtype == torch.int64
    assert found.matches01.device.type == device


def test_without_mutuality_each_keypoint_has_its_nearest():
    found = match_features(at_angles(0, 20, 90), at_angles(95, 30), MatchSettings(mutual=False))
    assert pairs(found) == [(0, 1), (1, 1), (2, 0)]


def test_least_similarity_is_a_cosine_and_counts_itself():
    found = match_features(at_angles(0, 90), at_angles(0, 150), MatchSettings(min_similarity=0.5 - 1e-6))
    assert pairs(found) == [(0, 0), (1, 1)]  # cosines 1 and cos 60
    assert pairs(match_features(at_angles(0, 90), at_angles(0, 150), MatchSettings(min_similarity=0.51))) == [(0, 0)]


def test_ratio_is_that_of_the_distances():
    # Chords of 60 and 90 degrees: 1 and sqrt 2, ratio 0.7071.
    view0, view1 = at_angles(0), at_angles(60, -90)
    assert pairs(match_features(view0, view1, MatchSettings(ratio=0.71))) == [(0, 0)]
    assert pairs(match_features(view0, view1, MatchSettings(ratio=0.70))) == []


def test_one_keypoint_passes_the_ratio_test():
    assert pairs(match_features(at_angles(0), at_angles(60), MatchSettings(ratio=0.5))) == [(0, 0)]


@pytest.mark.parametrize("how", [MatchSettings(), MatchSettings(mutual=False, ratio=0.9)])
@pytest.mark.parametrize(("count0", "count1"), [(0, 0), (0, 3), (3, 0)])
def test_no_keypoints_give_no_matches(count0, count1, how):
    found = match_features(at_angles(*range(count0)), at_angles(*range(count1)), how)
    assert found.matches01.shape == (0, 2)
    assert found.scores.shape == (0,)


def test_among_equals_the_first_keypoint_is_the_nearest():
    found = match_features(at_angles(0, 0, 0), at_angles(0, 0))
    assert pairs(found) == [(0, 0)]
    assert pairs(match_features(at_angles(0, 0), at_angles(0, 0), MatchSettings(mutual=False))) == [(0, 0), (1, 0)]
    assert len(match_features(at_angles(0), at_angles(0, 0), MatchSettings(ratio=0.9))) == 0


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(0, 20), st.integers(0, 20), st.integers(1, 5))
def test_matching_equals_its_definition_in_any_blocks(seed, count0, count1, rows):
    generator = np.random.default_rng(seed)
    # Few different descriptors, so that there are many ties; the cosines are exact.
    sides = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]], np.float32)
    view0, view1 = (described(sides[generator.integers(0, 4, count)]) for count in (count0, count1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(match_module, "ROWS", rows)
        found = pairs(match_features(view0, view1))
    similarity = (view0.descriptors @ view1.descriptors.T).numpy()
    expected = [
        (i, int(similarity[i].argmax()))
        for i in range(count0 if count1 else 0)
        if similarity[:, similarity[i].argmax()].argmax() == i
    ]
    assert found == expected


def test_exchanging_the_views_exchanges_the_matches():
    generator = torch.Generator().manual_seed(0)
    view0, view1 = (described(torch.randn(count, 8, generator=generator), 8) for count in (50, 60))
    forward, backward = match_features(view0, view1), match_features(view1, view0)
    assert len(forward) > 10
    assert sorted(pairs(forward)) == sorted((i, j) for j, i in pairs(backward))


def test_matching_needs_comparable_finite_descriptors():
    bare = Features(torch.zeros(1, 2), torch.ones(1), None, (10, 10))
    with pytest.raises(ValueError, match="MagicPoint gives none"):
        match_features(bare, at_angles(0))
    with pytest.raises(ValueError, match="3 and 2 numbers"):
        match_features(described([[1, 0, 0]], 3), at_angles(0))
    with pytest.raises(ValueError, match="finite"):
        match_features(at_angles(float("nan")), at_angles(0))


@pytest.mark.parametrize("fields", [{"ratio": 0.0}, {"ratio": 1.5}, {"min_similarity": 2.0}])
def test_settings_out_of_range_are_refused(fields):
    with pytest.raises(ValueError, match=str(next(iter(fields.values())))):
        MatchSettings(**fields)


def test_the_cosine_of_binary_descriptors_is_their_hamming_distance():
    bits = np.array([[0b11110000, 0], [0b11110001, 0], [0b00001111, 0xFF]], np.uint8)
    unit = binary_as_unit(bits)
    np.testing.assert_array_equal(unit @ unit.T, 1 - 2 * np.array([[0, 1, 16], [1, 0, 15], [16, 15, 0]]) / 16)


H = np.array([[1.1, 0.1, 20.0], [-0.05, 0.9, 30.0], [1e-4, 2e-4, 1.0]])


def warped(points, matrix=H):
    projected = np.c_[points, np.ones(len(points))] @ matrix.T
    return projected[:, :2] / projected[:, 2:]


def test_homography_is_found_among_wrong_matches_and_always_the_same():
    generator = np.random.default_rng(0)
    points0 = generator.uniform(0, 600, (100, 2))
    points1 = warped(points0)
    points1[:40] = generator.uniform(0, 600, (40, 2))
    estimates = []
    for seed in (0, 1):
        cv2.setRNGSeed(seed)
        estimates.append(estimate_homography(points0, torch.from_numpy(points1)))
    np.testing.assert_allclose(warped(points0, estimates[0].H_0to1), warped(points0), atol=1e-3)
    assert estimates[0].inliers[40:].all()
    assert estimates[0].inliers[:40].sum() <= 2
    np.testing.assert_array_equal(estimates[0].H_0to1, estimates[1].H_0to1)


def test_four_matches_fix_a_homography():
    square = np.array([[0, 0], [100, 0], [100, 100], [0, 100]], np.float32)
    estimate = estimate_homography(square, square + np.float32([5, -3]))
    np.testing.assert_allclose(estimate.H_0to1, [[1, 0, 5], [0, 1, -3], [0, 0, 1]], atol=1e-6)
    assert estimate.inliers.tolist() == [True] * 4


@pytest.mark.parametrize(
    "points",
    [np.zeros((0, 2)), np.eye(2), np.array([[0, 0], [9, 0], [0, 9]]), np.zeros((9, 2)), np.arange(18).reshape(9, 2)],
    ids=["none", "two", "three", "one place", "a line"],
)
def test_too_few_or_degenerate_matches_give_no_homography(points):
    assert estimate_homography(points, points) is None


def test_the_third_coordinate_is_positive_where_the_homography_was_seen():
    # The top-left pixel lies behind the horizon x = 50, so with the last entry 1 the sign would be wrong.
    matrix = np.array([[2.0, 0.0, -10.0], [0.0, -2.0, 0.0], [0.02, 0.0, -1.0]])
    points = np.random.default_rng(0).uniform(100, 200, (30, 2))
    estimate = estimate_homography(points, warped(points, matrix))
    assert (points @ estimate.H_0to1[2, :2] + estimate.H_0to1[2, 2] > 0).all()
    np.testing.assert_allclose(warped(points, estimate.H_0to1), warped(points, matrix), atol=0.02)


def test_matches_of_other_shapes_are_refused():
    with pytest.raises(ValueError, match="4 and 5 keypoints"):
        estimate_homography(np.zeros((4, 2)), np.zeros((5, 2)))
    with pytest.raises(ValueError, match=r"\(4, 3\)"):
        estimate_homography(np.zeros((4, 3)), np.zeros((4, 3)))
    with pytest.raises(ValueError, match="finite"):
        estimate_homography(np.full((4, 2), np.inf), np.zeros((4, 2)))
    with pytest.raises(ValueError, match=r"threshold.*-1"):
        estimate_homography(np.zeros((4, 2)), np.zeros((4, 2)), -1.0)


def test_picture_shows_both_images_and_a_coloured_line_for_an_inlier():
    grey0, grey1 = np.full((20, 30), 0.5, np.float32), np.ones((30, 10), np.float32)
    features0 = Features(torch.tensor([[5.0, 10.0], [5.0, 2.0]]), torch.ones(2), None, (30, 20))
    features1 = Features(torch.tensor([[4.0, 10.0], [4.0, 2.0]]), torch.ones(2), None, (10, 30))
    matches = Matches(torch.tensor([[0, 0], [1, 1]]), torch.ones(2))
    picture = draw_matches(grey0, grey1, features0, features1, matches, np.array([True, False]))
    assert picture.shape == (30, 30 + GAP + 10, 3)
    assert picture[18, 3].tolist() == [128] * 3
    assert picture[18, -1].tolist() == [255] * 3
    assert picture[25, 3].tolist() == [0] * 3
    inlier, outlier = picture[[10, 2], 30 + GAP // 2].astype(int)
    assert inlier[2] > inlier[1] + 50  # left of the middle of image 0, just below its height: pink
    assert outlier.argmax() == 0
    assert inlier.max() > 1.5 * outlier.max()
    with pytest.raises(ValueError, match=r"\(30, 20\)"):
        draw_matches(grey1, grey0, features0, features1, matches, np.array([True, False]))
    with pytest.raises(ValueError, match="2 matches"):
        draw_matches(grey0, grey1, features0, features1, matches, np.array([True]))


class DotsAndCells(nn.Module):
    """A network that finds bright pixels and describes a cell by its pixels."""

    settings = ModelSettings(descriptor_dim=64)

    def forward(self, image):
        descriptors = F.normalize(F.pixel_unshuffle(image, 8) + 0.01, dim=1)
        return Output((labels2Dto3D((image > 0.5).float()) + 1e-6).log(), descriptors)


def test_an_image_matches_its_shifted_self(tmp_path):
    # Dots at least 8 pixels apart, and a shift by whole cells.
    generator = np.random.default_rng(0)
    dots = np.zeros((96, 192), np.uint8)
    for top in range(0, 96, 16):
        for left in range(0, 192, 16):
            row, column = generator.integers(4, 12, 2)
            dots[top + row, left + column] = 255
    assert cv2.imwrite(str(tmp_path / "a.png"), dots[:, :160])
    assert cv2.imwrite(str(tmp_path / "b.png"), dots[:, 24:])
    extractor = Extractor(DotsAndCells(), DecodeSettings(border=0), "cpu")
    result = match_images(tmp_path / "a.png", tmp_path / "b.png", extractor, tmp_path / "deep" / "out.png")
    assert result.path == tmp_path / "deep" / "out.png"
    assert cv2.imread(str(result.path)).shape == (96 + LEGEND_HEIGHT, 160 + GAP + 168, 3)
    features0, features1 = extractor.extract(tmp_path / "a.png"), extractor.extract(tmp_path / "b.png")
    matches = match_features(features0, features1)
    index0, index1 = matches.matches01.T
    estimate = estimate_homography(features0.keypoints[index0], features1.keypoints[index1])
    np.testing.assert_allclose(estimate.H_0to1, [[1, 0, -24], [0, 1, 0], [0, 0, 1]], atol=0.01)
    np.testing.assert_array_equal(result.H_0to1, estimate.H_0to1)
    assert (result.keypoint_count0, result.keypoint_count1) == (60, len(features1))
    assert (result.match_count, result.inlier_count, result.drawn) == (len(index0), estimate.inliers.sum(), len(index0))
    np.testing.assert_array_equal(result.matched_keypoints0, features0.keypoints[index0])
    np.testing.assert_array_equal(result.matched_keypoints1, features1.keypoints[index1])
    np.testing.assert_array_equal(result.match_scores, matches.scores)
    assert result.inliers.sum() == result.inlier_count
    assert not result.doubtful
    text = format_matching(result)
    assert f"{len(index0)} matches of 60 and {len(features1)} keypoints" in text
    assert f"{estimate.inliers.sum()} matches within 3 px" in text


def test_images_without_keypoints_give_a_picture_and_no_homography(tmp_path):
    assert cv2.imwrite(str(tmp_path / "a.png"), np.zeros((16, 16), np.uint8))
    extractor = Extractor(DotsAndCells(), device="cpu")
    result = match_images(tmp_path / "a.png", tmp_path / "a.png", extractor, tmp_path / "out.png")
    assert cv2.imread(str(result.path))[:-LEGEND_HEIGHT].max() == 0
    assert (result.match_count, result.inlier_count, result.H_0to1, result.doubtful) == (0, 0, None, False)
    assert "no homography" in format_matching(result)
    assert as_plain(result)["matched_keypoints0"] == []


def test_a_detector_cannot_match(tmp_path):
    assert cv2.imwrite(str(tmp_path / "a.png"), np.zeros((16, 16), np.uint8))
    with pytest.raises(ValueError, match="needs descriptors"):
        match_images(tmp_path / "a.png", tmp_path / "a.png", Extractor(MagicPoint(0.125)), tmp_path / "out.png")
    assert not (tmp_path / "out.png").exists()
